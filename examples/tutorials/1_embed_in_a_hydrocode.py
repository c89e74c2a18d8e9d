# %% [markdown]
# # Embed the closure in a hydrocode
#
# From an empty folder to a burning slab in C++: a microstructure, a hydrocode of some eighty lines, a build
# against the installed library, a run, and a check of its energy.
#
# You need `pip install mld_closure`, a C++17 compiler and CMake (`pip install cmake`). The C++ program itself
# needs no Python in its sources and no environment variables when it runs.
#
# The slab is 0.19 mm of HMX with 10 % pores, thrown at a rigid wall at 900 m/s. Its eight cells are 24 um
# long, the length of the patches that the shipped bundle was trained on.

# %%
import json
import subprocess
from pathlib import Path

import numpy as np

import mld_closure as mld

folder = Path("slab")
folder.mkdir(exist_ok=True)
CELLS, NY, NX, PIXEL = 8, 320, 480, 50e-9

# %% [markdown]
# ## 1. The microstructure
#
# A sample is an image of the solid fraction: 1 in the solid, 0 in a void. Here elliptic pores are placed at
# random; yours may come from a microscope. The hydrocode will read it from the file, patch by patch.

# %%
sample = mld.Specimen.generate((NY, CELLS * NX), PIXEL, seed=1, porosity=0.1)
mu = np.array(sample.window(0, 0, CELLS * NX, NY), np.float32)  # (y, x)
np.save(folder / "sample.npy", mu)
print(f"{CELLS} patches of {NY} x {NX} pixels, porosity {1 - mu.mean():.3f}")

# %% [markdown]
# ## 2. The hydrocode
#
# One-dimensional Lagrangian gas dynamics: nodes move with the material, a zone between two nodes is one cell
# of the closure. Each step has three parts:
#
# 1. move the nodes and find the new pressures (twice, so that the second pass uses mid-step pressures);
# 2. ask the closure how much each zone has burned by the end of the step, given pressure and velocity;
# 3. release the heat of what has burned.
#
# The velocity passed is that against the material ahead of the shock. With it the closure takes the incoming
# wave for the load, which a zone's own burning does not change.
#
# The equation of state is the one of the simulations that the bundle learned from. Its products are hot
# solid; a real host brings a mixture of solid and products in pressure equilibrium.

# %%
(folder / "slab.cpp").write_text(r"""
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mld_closure/closure.hpp>
#include <numeric>
#include <string>
#include <vector>

using Numbers = std::vector<double>;
constexpr double rho0 = 1900, bulk = 13.3e9, gruneisen = 1.1, heat = 5.5e6;  // kg/m3, Pa, 1, J/kg

struct Eos { double p, c; };  // Pa, m/s

Eos eos(double rho, double e) {
  const double x = rho / rho0, x9 = std::pow(x, 9);
  const double cold = bulk / 9 * (x9 - 1), h = e - bulk / (9 * rho0) * (x9 / x / 8 + 1 / x - 9.0 / 8);
  return {std::max(cold + gruneisen * rho * h, 0.0),
          std::sqrt(bulk / rho0 * x9 / x + gruneisen * (gruneisen + 1) * std::max(h, 0.0))};
}

int main(int argc, char** argv) try {
  const int n = std::stoi(argv[1]);                             // zones
  const double dx = 24e-6, speed = 900, porosity = 0.1, end = 36e-9;  // m, m/s, 1, s
  const double mass = rho0 * (1 - porosity) * dx;               // kg/m2, of a zone
  Numbers x(n + 1), u(n + 1, -speed), e(n, 0.0), p(n, 0.0), velocity(n, 0.0), burned(n, 0.0), now(n);
  for (int i = 0; i <= n; ++i) x[i] = i * dx;
  u[0] = 0;                                                     // the rigid wall

  const std::string settings = "device = 'cpu'\nthreads = 1\nengine.patch_shape = [320, 480]\n";
  mld::Closure closure(mld::Options("hmx-compact", settings));
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  Numbers corners;                                              // (x, y) of each patch in the sample, m
  for (int i = 0; i < n; ++i) corners.insert(corners.end(), {i * dx, 0.0});
  closure.register_file(ids, "sample.npy", corners, 50e-9);

  const auto energy = [&] {                                     // J/m2, kinetic and internal
    double sum = mass * std::accumulate(e.begin(), e.end(), 0.0);
    for (int i = 0; i <= n; ++i) sum += (i == 0 || i == n ? 0.25 : 0.5) * mass * u[i] * u[i];
    return sum;
  };
  const double before = energy();
  double t = 0, limit = 1;
  int steps = 0;
  while (t < end * (1 - 1e-12)) {
    Numbers stress(n), last_x = x, last_u = u, last_e = e;
    double dt = std::min(limit, end - t);
    for (int i = 0; i < n; ++i) {
      const double size = x[i + 1] - x[i];
      dt = std::min(dt, 0.2 * size / (eos(mass / size, e[i]).c + std::abs(u[i + 1] - u[i])));
    }
    for (const double part : {0.5, 1.0}) {                      // mid-step, then the whole step
      for (int i = 0; i < n; ++i) {
        const double rho = mass / (x[i + 1] - x[i]), du = std::min(u[i + 1] - u[i], 0.0);
        const Eos s = eos(rho, e[i]);
        stress[i] = s.p + rho * (1.5 * du * du - 0.3 * s.c * du);  // with artificial viscosity
      }
      for (int i = 1; i <= n; ++i)
        u[i] = last_u[i] + part * dt * (stress[i - 1] - (i < n ? stress[i] : 0)) / (i < n ? mass : mass / 2);
      for (int i = 1; i <= n; ++i) x[i] = last_x[i] + part * dt * 0.5 * (last_u[i] + u[i]);
      for (int i = 0; i < n; ++i)
        e[i] = last_e[i] - part * dt * stress[i] / mass * 0.5 * (last_u[i + 1] + u[i + 1] - last_u[i] - u[i]);
    }
    for (int i = 0; i < n; ++i) {
      p[i] = eos(mass / (x[i + 1] - x[i]), e[i]).p;
      velocity[i] = 0.5 * (u[i] + u[i + 1]) + speed;            // against the material ahead
    }
    closure.begin_step(t, dt);
    closure.advance(ids, {{mld::Quantity::pressure, p}, {mld::Quantity::velocity, velocity}},
                    {{mld::Quantity::burned_fraction, now}});
    closure.commit();
    for (int i = 0; i < n; ++i) e[i] += heat * (now[i] - burned[i]);
    burned = now;
    limit = closure.dt_max();                                   // no zone may burn more than 5 % in a step
    t += dt;
    ++steps;
  }
  const double released = mass * heat * std::accumulate(burned.begin(), burned.end(), 0.0);
  const double error = (energy() - before) / released - 1;
  std::printf("{\"steps\": %d, \"energy_error\": %.3e, \"burned\": [", steps, error);
  for (int i = 0; i < n; ++i) std::printf("%s%.4f", i ? ", " : "", burned[i]);
  std::printf("], \"pressure_GPa\": [");
  for (int i = 0; i < n; ++i) std::printf("%s%.2f", i ? ", " : "", 1e-9 * p[i]);
  std::printf("]}\n");
} catch (const mld::Error& error) {
  std::fprintf(stderr, "%s: %s\n", mld_error_name(error.code()), error.what());
  return 1;
}
""")

# %% [markdown]
# ## 3. Build it
#
# Six lines of CMake. `mld-closure-config --cmakedir` says where the library was installed.

# %%
(folder / "CMakeLists.txt").write_text("""cmake_minimum_required(VERSION 3.21)
project(slab CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(mld_closure REQUIRED)
add_executable(slab slab.cpp)
target_link_libraries(slab PRIVATE mld_closure::mld_closure)
""")


def run(*command):
    """What a command prints; an error with its words where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


cmakedir = run("mld-closure-config", "--cmakedir").strip()
run("cmake", "-S", ".", "-B", "build", f"-Dmld_closure_DIR={cmakedir}", "-DCMAKE_BUILD_TYPE=Release")
run("cmake", "--build", "build")

# %% [markdown]
# ## 4. Run it, and check the number
#
# The first call starts Python inside the program and loads torch (seconds); then every step asks the
# networks only for zones that react. The wall does no work, so kinetic and internal energy must grow by
# exactly what the burned explosive released.

# %%
found = json.loads(run("build/slab", str(CELLS)))
print(f"{found['steps']} steps")
print("burned  ", found["burned"])
print("pressure", found["pressure_GPa"], "GPa")
print(f"energy against heat released: {found['energy_error']:.1e}")
assert abs(found["energy_error"]) < 1e-9, "the flow gains what the closure released, and nothing else"
assert found["burned"][0] > 0.9 > found["burned"][-1], "the slab burns from the wall"

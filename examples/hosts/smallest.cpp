// The smallest host in C++: four cells under a constant pressure; smallest_cpp BUNDLE
#include <cstdio>
#include <mld_closure/closure.hpp>
#include <numeric>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 2) return std::fprintf(stderr, "usage: smallest_cpp BUNDLE\n"), 2;
  constexpr int cells = 4, size = 64, steps = 12;
  const double dt = 0.3e-9;
  const std::vector<std::int64_t> ids = {10, 11, 12, 13};
  std::vector<float> patches;  // solid fraction: a pore here and there
  for (int c = 0; c < cells; ++c)
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x) patches.push_back((31 * y + 17 * x + 7 * c) % 23 < 2 ? 0.0f : 1.0f);
  const std::vector<double> pressure = {5e9, 6e9, 7e9, 8e9};
  std::vector<double> burned(cells), rate(cells);

  mld::Closure closure(mld::Options(argv[1], "device = 'cpu'\nthreads = 1\n"));
  closure.register_patches(ids, size, size, patches);
  for (int step = 0; step < steps; ++step) {
    closure.begin_step(step * dt, dt);
    closure.advance(ids, {{mld::Quantity::pressure, pressure}},
                    {{mld::Quantity::burned_fraction, burned}, {mld::Quantity::burn_rate, rate}});
    closure.commit();
  }
  const double mean = std::accumulate(burned.begin(), burned.end(), 0.0) / cells;
  std::printf("mean burned fraction %.15e, longest next step %.3e s\n", mean, closure.dt_max());
  return mean > 0.0 && mean <= 1.0 ? 0 : 1;
} catch (const mld::Error& error) {
  std::fprintf(stderr, "%s: %s\n", mld_error_name(error.code()), error.what());
  return 1;
}

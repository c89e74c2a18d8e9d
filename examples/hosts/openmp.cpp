// A host with OpenMP threads and floating point traps: every thread makes its own call; openmp BUNDLE
#include <omp.h>

#include <cfenv>
#include <cstdio>
#include <mld_closure/closure.hpp>
#include <numeric>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: openmp BUNDLE\n"), 2;
  constexpr int cells = 16, size = 64, steps = 12, regions = 4;
  const double dt = 0.3e-9;
  const int threads = omp_get_max_threads();
  const int traps = FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW;
  feenableexcept(traps);

  std::vector<std::int64_t> ids(cells);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<float> patches(cells * size * size);
  std::vector<double> pressure(cells), one_by_one(cells), together(cells);
#pragma omp parallel for  // the threads that torch may meet again exist now, traps on
  for (int c = 0; c < cells; ++c) {
    pressure[c] = 4e9 + 3e8 * c;
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        patches[(c * size + y) * size + x] = (31 * y + 17 * x + 7 * c) % 23 < 2 ? 0.0f : 1.0f;
  }
  std::string failed;
  try {
    // reproducible: a cell gives the same bits whichever cells are in the call with it.
    mld::Closure closure(mld::Options(argv[1], "device = 'cpu'\nthreads = 2\nengine.reproducible = true\n"));
    closure.register_patches(ids, size, size, patches);
    for (int step = 0; step < steps; ++step) {
      closure.begin_step(step * dt, dt);
      closure.advance(ids, {{mld::Quantity::pressure, pressure}},
                      {{mld::Quantity::burned_fraction, together}});
#pragma omp parallel for
      for (int region = 0; region < regions; ++region) {
        const std::size_t n = cells / regions, first = region * n;
        try {
          const mld::Span<const double> p(&pressure[first], n);
          const mld::Span<double> F(&one_by_one[first], n);
          closure.advance({&ids[first], n}, {{mld::Quantity::pressure, p}},
                          {{mld::Quantity::burned_fraction, F}});
        } catch (const mld::Error& error) {
#pragma omp critical
          failed = error.what();
        }
      }
      closure.commit();
    }
  } catch (const mld::Error& error) {
    failed = error.what();
  }
  if (!failed.empty()) return std::fprintf(stderr, "%s\n", failed.c_str()), 1;
  if (omp_get_max_threads() != threads) return std::fprintf(stderr, "the number of threads was changed\n"), 1;
  if ((fegetexcept() & traps) != traps) return std::fprintf(stderr, "the traps were changed\n"), 1;
  std::printf("%d threads, mean burned fraction %.15e\n", threads,
              std::accumulate(together.begin(), together.end(), 0.0) / cells);
  return together == one_by_one && together[0] > 0.0 ? 0 : 1;
}

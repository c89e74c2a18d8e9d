// A solver that is itself a plugin, with MPI and the closure known to nobody but itself.
#include <mpi.h>

#include <cstdio>
#include <mld_closure/closure.hpp>
#include <vector>

extern "C" __attribute__((visibility("default"))) int run_plugin(const char* bundle) {
  int provided;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  int failed = 0;
  try {
    mld::Options options(bundle, "device = 'cpu'\nthreads = 1\n");
    options.has_comm = true;
    options.comm = MPI_Comm_c2f(MPI_COMM_WORLD);
    mld::Closure closure(options);
    const std::vector<std::int64_t> ids = {7};
    const std::vector<float> patch(32 * 32, 1.0f);
    const std::vector<double> pressure = {7e9};
    std::vector<double> burned(1);
    closure.register_patches(ids, 32, 32, patch);
    for (int k = 0; k < 5; ++k) {
      closure.begin_step(k * 0.3e-9, 0.3e-9);
      closure.advance(ids, {{mld::Quantity::pressure, pressure}}, {{mld::Quantity::burned_fraction, burned}});
      closure.commit();
    }
    closure.close();
    std::printf("burned fraction %.15e in a plugin\n", burned[0]);
    failed = !(burned[0] > 0.0);
  } catch (const mld::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    failed = 1;
  }
  MPI_Finalize();
  return failed;
}

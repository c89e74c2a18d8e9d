// Hosts in unusual situations, one by name: situations BUNDLE NAME. Ends with 0 and one line where
// all is as the header promises.
#include <mpi.h>
#include <signal.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <mld_closure/closure.hpp>
#include <string>
#include <vector>

namespace {

constexpr int kCells = 4, kSize = 32;
constexpr double kStep = 0.3e-9;
using Q = mld::Quantity;

int rank = 0, ranks = 1;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("not so: " + what);
}

struct Host {
  explicit Host(const std::string& bundle, bool with_comm = false) {
    mld::Options options(bundle, "device = 'cpu'\nthreads = 1\nwarm_start = false\npatch_shape = [32, 32]\n");
    options.has_comm = with_comm;
    if (with_comm) options.comm = MPI_Comm_c2f(MPI_COMM_WORLD);
    closure = mld::Closure(options);
    for (int c = 0; c < kCells; ++c) ids.push_back(100 * rank + c);
    std::vector<float> patches(kCells * kSize * kSize, 1.0f);
    for (std::size_t k = 0; k < patches.size(); k += 11) patches[k] = 0.0f;
    closure.register_patches(ids, kSize, kSize, patches);
    pressure.assign(kCells, 7e9);
    burned.assign(kCells, 0.0);
  }
  void advance() { closure.advance(ids, {{Q::pressure, pressure}}, {{Q::burned_fraction, burned}}); }
  void step() {
    closure.begin_step(time, kStep);
    advance();
    closure.commit();
    time += kStep;
  }
  void steps(int n) {
    for (int k = 0; k < n; ++k) step();
    require(burned[0] > 0.0, "something burned");
  }

  mld::Closure closure;
  std::vector<std::int64_t> ids;
  std::vector<double> pressure, burned;
  double time = 0.0;
};

void start_mpi() {
  int provided;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
}

int code_of(const std::function<void()>& call, std::string* message = nullptr) {
  try {
    call();
    return MLD_OK;
  } catch (const mld::Error& error) {
    if (message) *message = error.what();
    return error.code();
  }
}

void mpi_first(const std::string& bundle) {
  start_mpi();
  Host host(bundle, true);
  host.steps(5);
  host.closure.close();
  MPI_Finalize();
}

void mpi_later(const std::string& bundle) {
  Host host(bundle);
  host.steps(3);
  start_mpi();
  host.steps(3);
  double sum = 1.0;
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  MPI_Finalize();
  host.steps(1);
}

void closed_after_finalize(const std::string& bundle) {
  start_mpi();
  Host host(bundle, true);
  host.steps(3);
  MPI_Finalize();
  host.closure.close();
}

void never_closed(const std::string& bundle) {
  auto* host = new Host(bundle);
  host->steps(3);
  host->closure.begin_step(host->time, kStep);
  std::printf("left in the middle of a step\n");
  std::exit(0);
}

void no_mpi_yet(const std::string& bundle) {
  std::string said;
  mld::Options options(bundle);
  options.has_comm = true;
  require(code_of([&] { mld::Closure closure(options); }, &said) == MLD_E_MPI, "a communicator needs MPI");
  require(said.find("MPI_Init") != std::string::npos, said);
}

void wrong_mpirun(const std::string& bundle) {
  start_mpi();
  std::string said;
  require(code_of([&] { Host host(bundle, true); }, &said) == MLD_E_MPI, "an error");
  require(said.find("wrong mpirun") != std::string::npos, said);
  MPI_Finalize();
}

// One rank's mistake is every rank's error, and the next call is served.
void one_rank_errs(const std::string& bundle) {
  start_mpi();
  Host host(bundle, true);
  host.steps(2);
  const bool mine = rank == ranks - 1;
  std::string said;
  host.closure.begin_step(host.time, kStep);
  if (mine) host.pressure[1] = NAN;
  require(code_of([&] { host.advance(); }, &said) == MLD_E_CELLS, "NaN: " + said);
  host.pressure[1] = 7e9;
  mld_input in = {MLD_PRESSURE, MLD_HOST, mine ? nullptr : host.pressure.data(), 0, 0};
  const int code = mld_advance(host.closure.get(), kCells, host.ids.data(), &in, 1, nullptr, 0);
  require(code == MLD_E_ARGUMENT, std::string("null pointer: ") + mld_message());
  const float solid[kSize * kSize] = {};
  const std::int64_t more = 1000 + rank;
  require(code_of([&] { host.closure.rollback(); }) == MLD_OK, "rollback");
  require(mld_register_patches(host.closure.get(), 1, &more, kSize, kSize, mine ? nullptr : solid, 0.0,
                               MLD_COPY) == MLD_E_ARGUMENT,
          std::string("no patches: ") + mld_message());
  require(code_of([&] { host.closure.commit(); }) == MLD_E_ORDER, "commit without a step");
  host.steps(2);
  host.closure.close();
  MPI_Finalize();
}

void killed_rank(const std::string& bundle) {
  start_mpi();
  Host host(bundle, true);
  host.steps(2);
  if (rank == ranks - 1) raise(SIGKILL);
  for (;;) host.step();
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<void(const std::string&)>> all = {
      {"mpi_first", mpi_first},
      {"mpi_later", mpi_later},
      {"closed_after_finalize", closed_after_finalize},
      {"never_closed", never_closed},
      {"no_mpi_yet", no_mpi_yet},
      {"wrong_mpirun", wrong_mpirun},
      {"one_rank_errs", one_rank_errs},
      {"killed_rank", killed_rank}};
  if (argc < 3 || !all.count(argv[2])) return std::fprintf(stderr, "usage: situations BUNDLE NAME\n"), 2;
  try {
    all.at(argv[2])(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s, rank %d: %s\n", argv[2], rank, error.what());
    return 1;
  }
  if (rank == 0) std::printf("%s: as promised\n", argv[2]);
  return 0;
}

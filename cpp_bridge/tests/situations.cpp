// Hosts in unusual situations, by name: situations BUNDLE NAME... Ends with 0 and one line for each where
// all is as the header promises.
#include <mpi.h>
#include <signal.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <mld_closure/closure.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

constexpr int kCells = 4, kSize = 32;
constexpr double kStep = 0.3e-9;
using Q = mld::Quantity;

int rank = 0, ranks = 1;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("not so: " + what);
}

static_assert(!std::is_copy_constructible<mld::Closure>::value, "a closure moves");
static_assert(!std::is_copy_assignable<mld::Closure>::value, "a closure moves");
static_assert(std::is_nothrow_move_constructible<mld::Closure>::value, "a closure moves");

const std::string kSettings = "device = 'cpu'\nthreads = 1\nengine.patch_shape = [32, 32]\n";

mld::Options on_all_ranks(const std::string& bundle, const std::string& settings = kSettings) {
  mld::Options options(bundle, settings);
  options.has_comm = true;
  options.comm = MPI_Comm_c2f(MPI_COMM_WORLD);
  return options;
}

struct Host {
  explicit Host(const std::string& bundle, bool with_comm = false)
      : Host(with_comm ? on_all_ranks(bundle) : mld::Options(bundle, kSettings)) {}
  explicit Host(const mld::Options& options) : closure(options) {
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
  int provided, running;
  MPI_Initialized(&running);
  if (!running) MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
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
  mld_input in = {MLD_PRESSURE, MLD_HOST, mine ? nullptr : host.pressure.data(), 0, 0, 0};
  const int code = mld_advance(host.closure.get(), kCells, host.ids.data(), &in, 1, nullptr, 0);
  require(code == MLD_E_ARGUMENT, std::string("null pointer: ") + mld_message());
  const float solid[kSize * kSize] = {};
  const std::int64_t more = 1000 + rank;
  require(code_of([&] { host.closure.rollback(); }) == MLD_OK, "rollback");
  const double corner[2] = {};
  mld_closure* c = host.closure.get();
  const std::string never = bundle + ".never";
  const std::int32_t part = mine ? 0 : -1;  // of a bundle without points
  mld_registration points = MLD_REGISTRATION_INIT;
  points.n = 1;
  points.ids = &more;
  points.ny = points.nx = kSize;
  points.patches = solid;
  points.parts = &part;
  const std::pair<int, int> refused[] = {
      {MLD_E_ARGUMENT,
       mld_register_patches(c, 1, &more, kSize, kSize, mine ? nullptr : solid, 0.0, MLD_COPY)},
      {MLD_E_ARGUMENT,
       mld_register_image(c, 1, &more, kSize, kSize, solid, 50e-9, mine ? nullptr : corner, MLD_COPY)},
      {MLD_E_ARGUMENT, mld_register_file(c, 1, &more, mine ? nullptr : "/no/image", nullptr, 0.0, corner)},
      {MLD_E_ARGUMENT, mld_register(c, mine ? nullptr : &points)},
      {MLD_E_CELLS, mld_register(c, &points)},
      {MLD_E_ARGUMENT, mld_unregister(c, mine ? 1 : 0, nullptr)},
      {MLD_E_ARGUMENT, mld_migrate(c, mine ? 1 : 0, &more, nullptr)},
      {MLD_E_ARGUMENT, mld_save(c, mine ? nullptr : never.c_str())},
      {MLD_E_FILE, mld_restore(c, mine ? nullptr : never.c_str())},  // which is not there on rank 0
      {MLD_E_ORDER, mld_begin_step(c, mine ? 0.0 : host.time, kStep)},
  };
  int number = 0;
  for (const auto& [expected, error] : refused)
    require(error == expected, "call " + std::to_string(number++) + " gave " + mld_error_name(error));
  require(!std::filesystem::exists(never), "what one rank refuses to save no rank writes");
  require(code_of([&] { host.closure.commit(); }) == MLD_E_ORDER, "commit without a step");
  host.steps(2);
  host.closure.close();
}

// What is wrong with opening on one rank is every rank's error, and nobody waits for the others.
void one_rank_cannot_open(const std::string& bundle) {
  start_mpi();
  const bool mine = rank == ranks - 1;
  mld_closure* closure = nullptr;
  mld_options raw = MLD_OPTIONS_INIT;
  raw.has_comm = 1;
  raw.comm = MPI_Comm_c2f(MPI_COMM_WORLD);
  raw.bundle = mine ? nullptr : bundle.c_str();
  require(mld_open(&raw, &closure) == MLD_E_ARGUMENT, std::string("no bundle: ") + mld_message());
  std::string said;
  const auto gives = [&](int expected, const std::string& path, const std::string& settings) {
    const int code = code_of([&] { mld::Closure made(on_all_ranks(path, settings)); }, &said);
    require(code == expected, mld_error_name(code) + (": " + said));
  };
  gives(MLD_E_ARGUMENT, bundle, mine ? "no toml" : kSettings);
  require(said.find("rank " + std::to_string(ranks - 1)) != std::string::npos, said);
  gives(MLD_E_ARGUMENT, bundle, mine ? "devise = 'cpu'" : kSettings);
  gives(MLD_E_FILE, mine ? "/no/bundle" : bundle, kSettings);
  Host host(bundle, true);
  host.steps(4);
  host.closure.close();
}

int failing_fallback(void* fails, std::int64_t n, const std::int64_t*, const double*, const double*,
                     const double*, const double*, const double*, const double*, const double* before,
                     double* after) {
  for (int k = 0; k < n * MLD_FALLBACK_QUANTITIES; ++k) after[k] = before[k];
  for (int k = 0; k < n; ++k) after[k * MLD_FALLBACK_QUANTITIES + MLD_COLUMN_BURNED_FRACTION] += 0.1;
  return *static_cast<bool*>(fails);
}

// A fallback that fails on one rank: the same error and the same cells on all, and on with it.
void fallback_fails(const std::string& bundle) {
  start_mpi();
  bool fails = false;
  mld::Options options = on_all_ranks(bundle, kSettings + "policy.on_extrapolation = 'fallback'\n");
  options.fallback = failing_fallback;
  options.fallback_data = &fails;
  Host host(options);
  host.pressure[1] = 2e10;
  host.steps(4);
  host.closure.begin_step(host.time, kStep);
  fails = rank == ranks - 1;
  const std::vector<std::int64_t> cells = {100 * (ranks - 1) + 1};
  try {
    host.advance();
    require(false, "an error");
  } catch (const mld::Error& error) {
    require(error.code() == MLD_E_CELLS && error.cells() == cells, error.what());
    require(std::string(error.what()).find("the host's fallback returned 1") != std::string::npos,
            error.what());
  }
  fails = false;
  const double before = host.burned[1];
  host.advance();
  require(std::fabs(host.burned[1] - before - 0.1) < 1e-12, "the fallback's burned fraction");
  host.closure.commit();
  host.closure.close();
}

// Calls handed in on each rank as many as it likes give the bits of one call.
void merged_calls(const std::string& bundle) {
  start_mpi();
  const mld::Options options = on_all_ranks(bundle, kSettings + "engine.reproducible = true\n");
  Host whole(options), parts(options);
  parts.pressure[1] = whole.pressure[1] = 6e9;
  for (int k = 0; k < 6; ++k) {
    whole.step();
    parts.closure.begin_step(k * kStep, kStep);
    const std::size_t n = rank == 0 ? kCells : rank == 1 ? 1 : 2;  // cells a call
    for (std::size_t first = 0; first < kCells; first += n)
      parts.closure.submit({&parts.ids[first], n},
                           {{Q::pressure, mld::Span<const double>(&parts.pressure[first], n)}},
                           {{Q::burned_fraction, mld::Span<double>(&parts.burned[first], n)}});
    parts.closure.wait();
    require(parts.closure.dt_max() == whole.closure.dt_max(), "the same longest step");
    parts.closure.commit();
  }
  // counters are local: one rank alone may ask
  if (rank == 0) require(parts.closure.counter("cells") == kCells, "the cells of this rank");
  require(parts.burned == whole.burned && whole.burned[0] > 0.0, "the same burned fractions");
  parts.closure.close();
  whole.closure.close();
}

// Saved, restored in a new closure, all cells handed on to the next rank: the same bits.
void restart_and_migrate(const std::string& bundle) {
  start_mpi();
  const mld::Options options = on_all_ranks(bundle, kSettings + "engine.reproducible = true\n");
  const std::string folder = bundle + ".restart" + std::to_string(ranks);
  Host first(options), second(options);
  for (int c = 0; c < kCells; ++c) first.pressure[c] = second.pressure[c] = 6e9 + 2e8 * c;
  first.steps(3);  // in all fewer than burn a cell
  first.closure.save(folder);
  first.steps(3);
  second.closure.restore(folder);
  second.time = 3 * kStep;
  second.steps(1);
  const std::vector<std::int32_t> next(kCells, (rank + 1) % ranks);
  second.closure.migrate(second.ids, next);
  for (auto& id : second.ids) id = 100 * ((rank + ranks - 1) % ranks) + id % 100;
  require(second.closure.counter("cells") == kCells, "as many cells as before");
  second.steps(2);
  std::vector<double> theirs(kCells);
  MPI_Sendrecv(first.burned.data(), kCells, MPI_DOUBLE, (rank + 1) % ranks, 0, theirs.data(), kCells,
               MPI_DOUBLE, (rank + ranks - 1) % ranks, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  require(second.burned == theirs && theirs[0] != theirs[1], "the same burned fractions elsewhere");
  require(second.closure.dt_max() == first.closure.dt_max(), "the same longest step");
  first.closure.close();
  second.closure.close();
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
      {"one_rank_cannot_open", one_rank_cannot_open},
      {"fallback_fails", fallback_fails},
      {"merged_calls", merged_calls},
      {"restart_and_migrate", restart_and_migrate},
      {"killed_rank", killed_rank}};
  bool known = argc >= 3;
  for (int k = 2; k < argc; ++k) known = known && all.count(argv[k]);
  if (!known) return std::fprintf(stderr, "usage: situations BUNDLE NAME...\n"), 2;
  for (int k = 2; k < argc; ++k) {
    try {
      all.at(argv[k])(argv[1]);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s, rank %d: %s\n", argv[k], rank, error.what());
      return 1;
    }
    if (rank == 0) std::printf("%s: as promised\n", argv[k]), std::fflush(stdout);
  }
  int running, ended;
  MPI_Initialized(&running);
  MPI_Finalized(&ended);
  if (running && !ended) MPI_Finalize();
  return 0;
}

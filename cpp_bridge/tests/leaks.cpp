// Looks for what calls leave behind: leaks LIBPYTHON BUNDLE ROUNDS [forget]. Each round makes every call of
// the C interface, right and wrong. Python is told to take its objects from malloc one by one, so that
// valgrind sees each, and so does the count here: after the first rounds no block in use may be left over
// from a round. "forget" leaves one block behind in every round, to show that it is seen. BUNDLE "-": the
// package is the one of stand_in, and rounds are short.
#include <Python.h>
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <mld_closure/closure.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Every allocation of the process, Python's and the library's too, goes through these.
std::atomic<long> blocks{0};

void* counted(void* block) {
  if (block) ++blocks;
  return block;
}

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) { return counted(__libc_malloc(size)); }
void* calloc(std::size_t number, std::size_t size) { return counted(__libc_calloc(number, size)); }
void* memalign(std::size_t alignment, std::size_t size) { return counted(__libc_memalign(alignment, size)); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** place, std::size_t alignment, std::size_t size) {
  return (*place = memalign(alignment, size)) ? 0 : ENOMEM;
}
void* realloc(void* old, std::size_t size) {
  if (!old) return malloc(size);
  void* moved = __libc_realloc(old, size);
  if (!moved && size == 0) --blocks;
  return moved;
}
void free(void* block) {
  if (block) --blocks;
  __libc_free(block);
}
}

namespace {

constexpr int kCells = 4, kNy = 32, kNx = 32, kWarm = 3;
constexpr double kStep = 0.3e-9;
const char* const kSettings =
    "device = 'cpu'\nthreads = 1\nengine.patch_shape = [32, 32]\npolicy.on_extrapolation = 'fallback'\n";
const std::int64_t kIds[kCells] = {10, 11, 12, 13};

void* libpython = nullptr;
void* volatile forgotten = nullptr;

template <class Function>
Function* python(const char* name) {
  void* found = dlsym(libpython, name);
  if (!found) std::fprintf(stderr, "no %s\n", name), std::exit(2);
  return reinterpret_cast<Function*>(found);
}
#define PYTHON(name) python<decltype(name)>(#name)

void take_objects_from_malloc() {
  PyPreConfig config;
  PYTHON(PyPreConfig_InitPythonConfig)(&config);
  config.allocator = PYMEM_ALLOCATOR_MALLOC;
  PYTHON(Py_PreInitialize)(&config);
}

// Blocks in use once Python has dropped what only cycles hold, and the names it remembers of attributes.
long in_use() {
  const auto state = PYTHON(PyGILState_Ensure)();
  PYTHON(PyType_ClearCache)();
  PYTHON(PyGC_Collect)();
  PYTHON(PyGILState_Release)(state);
  return blocks;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

void must_be(int expected, int error, const char* call) {
  if (error == expected) return;
  std::fprintf(stderr, "%s gave %s: %s\n", call, mld_error_name(error), mld_message());
  std::exit(1);
}
#define MUST_BE(expected, call) must_be(expected, call, #call)

// What the fallback is to do: fail by its number or an exception, or call the closure itself.
enum How { kServe, kFail, kThrow, kCallBack };
struct Host {
  mld_closure* closure = nullptr;
  How how = kServe;
  int served = 0;
};

int fallback(void* data, std::int64_t n, const std::int64_t*, const double*, const double*, const double*,
             const double*, const double*, const double*, const double* before, double* after) {
  Host& host = *static_cast<Host*>(data);
  if (host.how == kThrow) throw std::runtime_error("thrown by a fallback");
  double value;
  if (host.how == kCallBack) MUST_BE(MLD_E_ORDER, mld_dt_max(host.closure, &value));
  if (host.how == kCallBack) MUST_BE(MLD_E_ORDER, mld_close(&host.closure));
  for (std::int64_t i = 0; i < n; ++i, before += MLD_FALLBACK_QUANTITIES, after += MLD_FALLBACK_QUANTITIES) {
    for (int k = 0; k < MLD_FALLBACK_QUANTITIES; ++k) after[k] = NAN;
    after[MLD_COLUMN_BURNED_FRACTION] = std::fmax(0.5, before[MLD_COLUMN_BURNED_FRACTION]);
  }
  ++host.served;
  return host.how == kFail;
}

void open(Host& host, const char* bundle, const char* settings) {
  mld_options options = MLD_OPTIONS_INIT;
  options.bundle = bundle;
  options.settings = settings;
  options.fallback = fallback;
  options.fallback_data = &host;
  MUST_BE(MLD_OK, mld_open(&options, &host.closure));
}

void failed_openings(const char* bundle) {
  mld_options options = MLD_OPTIONS_INIT;
  mld_closure* closure = nullptr;
  MUST_BE(MLD_E_ARGUMENT, mld_open(&options, &closure));
  options.bundle = "/is/missing";
  MUST_BE(MLD_E_FILE, mld_open(&options, &closure));
  options.bundle = bundle;
  for (const char* settings : {"devise = 1", "no toml", "comm = 3"}) {
    options.settings = settings;
    MUST_BE(MLD_E_ARGUMENT, mld_open(&options, &closure));
  }
}

void registrations(mld_closure* c) {
  static const std::vector<float> pixels(kCells * kNy * kNx, 1.0f);
  static const double offsets[2 * kCells] = {};
  const std::int64_t more[] = {20, 21}, third[] = {30, 31};
  const std::int32_t owners[] = {0, 0}, nobody[] = {0, 9};
  const float* p = pixels.data();
  MUST_BE(MLD_OK, mld_register_patches(c, kCells, kIds, kNy, kNx, p, 0.0, MLD_COPY));
  MUST_BE(MLD_E_CELLS, mld_register_patches(c, 1, kIds, kNy, kNx, p, 0.0, MLD_BORROW));
  MUST_BE(MLD_E_ARGUMENT, mld_register_patches(c, 1, more, kNy, kNx, nullptr, 0.0, MLD_COPY));
  MUST_BE(MLD_OK, mld_register_image(c, 2, more, kNy, kNx, p, 50e-9, offsets, MLD_BORROW));
  MUST_BE(MLD_E_ARGUMENT, mld_register_image(c, 2, third, kNy, kNx, p, -1.0, offsets, MLD_COPY));
  MUST_BE(MLD_E_FILE, mld_register_file(c, 2, third, "/no/file", nullptr, 0.0, offsets));
  MUST_BE(MLD_OK, mld_migrate(c, 2, more, owners));
  MUST_BE(MLD_E_CELLS, mld_migrate(c, 2, more, nobody));
  MUST_BE(MLD_OK, mld_unregister(c, 2, more));
  const std::int32_t whole[] = {-1, -1}, parts[] = {-1, 0};
  mld_registration r = MLD_REGISTRATION_INIT;
  MUST_BE(MLD_OK, mld_register(c, &r));
  r.n = 2;
  r.ids = third;
  MUST_BE(MLD_E_ARGUMENT, mld_register(c, &r));
  r.ny = kNy;
  r.nx = kNx;
  r.patches = p;
  r.parts = parts;
  MUST_BE(MLD_E_CELLS, mld_register(c, &r));
  r.parts = whole;
  MUST_BE(MLD_OK, mld_register(c, &r));
  MUST_BE(MLD_OK, mld_unregister(c, 2, third));
}

// Steps of cells under a pressure, the last of them out of the trained range.
void steps(Host& host) {
  mld_closure* c = host.closure;
  const double pressure[kCells] = {5e9, 6e9, 7e9, 2e10}, many[70] = {};
  double burned[2 * kCells], value;
  std::int64_t status[kCells];
  const std::int64_t unknown[] = {10, 7};
  const mld_input in = {MLD_PRESSURE, MLD_HOST, pressure, 0, 0, 0};
  const mld_input later = {MLD_PRESSURE, MLD_HOST, pressure + 2, 0, 0, 0};
  const mld_input scaled = {MLD_PRESSURE, MLD_HOST, pressure, 0, 0, 2.0};
  const mld_input lent = {MLD_PRESSURE, MLD_HOST_DLPACK, pressure, 0, 0, 0};
  const mld_input wrong = {MLD_PRESSURE, 5, pressure, 0, 0, 0};
  const mld_input away = {MLD_PRESSURE, MLD_CUDA, pressure, 0, 99, 0};
  const mld_output away_out[] = {{MLD_BURNED_FRACTION, MLD_CUDA, burned, 0, 99, 0}};
  const mld_output out[] = {{MLD_BURNED_FRACTION, MLD_HOST, burned, 16, 0, 0},
                            {MLD_STATUS, MLD_HOST, status, 0, 0, 0}};
  const mld_output lent_out[] = {{MLD_BURNED_FRACTION, MLD_HOST_DLPACK, burned, 16, 0, 0},
                                 {MLD_STATUS, MLD_HOST_DLPACK, status, 0, 0, 0}};
  MUST_BE(MLD_E_ORDER, mld_commit(c));
  for (int k = 0; k < 3; ++k) {  // the shock arrives and is caught up with, rejected once
    for (int rejected = 1; rejected >= 0; --rejected) {
      MUST_BE(MLD_OK, mld_begin_step(c, k * kStep, kStep));
      MUST_BE(MLD_OK, mld_submit(c, 2, kIds, &in, 1, out, 1));
      MUST_BE(MLD_OK, mld_submit(c, 2, kIds + 2, &later, 1, out + 1, 1));
      MUST_BE(MLD_OK, mld_wait(c));
      MUST_BE(MLD_E_CELLS, mld_submit(c, 2, unknown, &in, 1, out, 1));
      MUST_BE(MLD_OK, mld_submit(c, 2, kIds, &in, 1, out, 1));
      MUST_BE(MLD_E_CELLS, mld_submit(c, 2, kIds + 1, &in, 1, out, 1));
      MUST_BE(MLD_E_ORDER, mld_commit(c));
      MUST_BE(MLD_OK, mld_wait(c));
      if (rejected) MUST_BE(MLD_OK, mld_submit(c, 2, kIds, &in, 1, out, 1));
      MUST_BE(MLD_OK, rejected ? mld_rollback(c) : mld_commit(c));
    }
  }
  MUST_BE(MLD_OK, mld_begin_step(c, 3 * kStep, kStep));
  MUST_BE(MLD_E_ORDER, mld_begin_step(c, 3 * kStep, kStep));
  host.served = 0;
  for (How how : {kServe, kFail, kThrow, kCallBack}) {
    host.how = how;
    const int expected = how == kFail || how == kThrow ? MLD_E_CELLS : MLD_OK;
    MUST_BE(expected, mld_advance(c, kCells, kIds, &in, 1, out, 2));
    MUST_BE(expected, mld_advance(c, kCells, nullptr, &lent, 1, lent_out, 2));
    if (how == kServe && burned[6] != 0.5) fail("the fallback gave no burned fraction");
  }
  host.how = kServe;
  if (host.served != 6) fail("the fallback was not called");
  MUST_BE(MLD_OK, mld_advance(c, 1, kIds, &scaled, 1, out, 2));
  MUST_BE(MLD_E_CELLS, mld_advance(c, 2, unknown, &in, 1, out, 2));
  MUST_BE(MLD_E_CELLS, mld_advance(c, 2, unknown, &lent, 1, lent_out, 2));
  MUST_BE(MLD_E_ARGUMENT, mld_advance(c, 2, kIds, &wrong, 1, out, 2));
  MUST_BE(MLD_E_ARGUMENT, mld_advance(c, 2, kIds, &away, 1, out, 2));
  MUST_BE(MLD_E_ARGUMENT, mld_advance(c, 2, kIds, &in, 1, away_out, 1));
  MUST_BE(MLD_E_ARGUMENT, mld_advance(c, 2, kIds, nullptr, 0, nullptr, 0));
  const mld_input with_entropy[] = {in, {MLD_ENTROPY, MLD_HOST, pressure, 0, 0, 1e-5}};
  MUST_BE(MLD_E_ARGUMENT, mld_advance(c, 2, kIds, with_entropy, 2, out, 2));
  for (const double& other : many) {  // more arrays than views are kept of
    const mld_input moving = {MLD_PRESSURE, MLD_HOST, &other, 0, 0, 0};
    MUST_BE(MLD_OK, mld_advance(c, 1, kIds, &moving, 1, out, 2));
  }
  MUST_BE(MLD_OK, mld_commit(c));
  MUST_BE(MLD_OK, mld_dt_max(c, &value));
  MUST_BE(MLD_E_ARGUMENT, mld_dt_max(c, nullptr));
}

void the_rest(mld_closure* c, const char* bundle) {
  const std::string folder = std::string(bundle) + ".restart";
  const bool stands_in = folder[0] == '-';
  const std::int64_t unknown[] = {10, 7};
  double value, burned[kCells];
  MUST_BE(MLD_OK, mld_counter(c, "cells", &value));
  MUST_BE(MLD_E_ARGUMENT, mld_counter(c, "no such", &value));
  MUST_BE(MLD_OK, mld_counter_sum(c, "burned_mass", &value));
  MUST_BE(MLD_E_ARGUMENT, mld_counter_sum(c, "no such", &value));
  MUST_BE(MLD_OK, mld_fact(c, "pixel", &value));
  MUST_BE(MLD_E_ARGUMENT, mld_fact(c, "no such", &value));
  const mld_output mass = {MLD_BURNED_MASS, MLD_HOST, burned, 0, 0, 1e-3};
  MUST_BE(MLD_OK, mld_read(c, kCells, kIds, &mass, 1));
  MUST_BE(MLD_E_CELLS, mld_read(c, 2, unknown, &mass, 1));
  MUST_BE(stands_in ? MLD_E_FILE : MLD_OK, mld_save(c, folder.c_str()));
  MUST_BE(stands_in ? MLD_E_FILE : MLD_OK, mld_restore(c, folder.c_str()));
  MUST_BE(MLD_E_FILE, mld_restore(c, "/no/place"));
  std::thread([c] {  // its message goes with it
    double none;
    MUST_BE(MLD_E_ARGUMENT, mld_counter(c, "no such counter in another thread", &none));
  })
      .join();
}

void in_cpp(const char* bundle) {
  mld::Closure closure{mld::Options(bundle)};
  mld::Closure moved(std::move(closure));
  closure = std::move(moved);
  const std::vector<std::int64_t> known = {1}, unknown = {7};
  const std::vector<float> patch(kNy * kNx);
  const std::vector<double> pressure(1);
  closure.register_patches(known, kNy, kNx, patch);
  closure.begin_step(0.0, kStep);
  try {
    closure.advance(unknown, {{mld::Quantity::pressure, pressure}}, {});
  } catch (const mld::Error& error) {
    if (error.cells() == unknown) return;  // left to close itself in the middle of a step
  }
  fail("no error that names the cell");
}

void round(const char* bundle) {
  Host host;
  failed_openings(bundle);
  open(host, bundle, kSettings);
  mld_closure* stale = host.closure;
  registrations(host.closure);
  steps(host);
  the_rest(host.closure, bundle);
  MUST_BE(MLD_OK, mld_begin_step(host.closure, 4 * kStep, kStep));
  MUST_BE(MLD_OK, mld_close(&host.closure));
  MUST_BE(MLD_E_HANDLE, mld_commit(stale));
  MUST_BE(MLD_E_HANDLE, mld_close(&stale));
  in_cpp(bundle);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "usage: leaks LIBPYTHON BUNDLE ROUNDS [forget]\n"), 2;
  libpython = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  if (!libpython) return std::fprintf(stderr, "%s\n", dlerror()), 2;
  take_objects_from_malloc();
  const int rounds = std::atoi(argv[3]);
  long before = 0;
  for (int k = 0; k < rounds; ++k) {
    if (k == kWarm) before = in_use();
    round(argv[2]);
    if (argc > 4) forgotten = std::malloc(7);
  }
  if (rounds <= kWarm) return 0;
  const long more = in_use() - before;
  std::printf("%d rounds, %ld blocks more in use than after %d\n", rounds, more, kWarm);
  return more != 0;
}

// Hosts that are attacked, or that do what they should not: attacks BUNDLE WHAT. Each ends with 0 and "held", or
// with 1 and a sentence.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "mld_closure/closure.h"

namespace {

constexpr int kCells = 4, kSide = 64;
const std::int64_t kIds[kCells] = {10, 11, 12, 13};
const char* const kSettings = "device = 'cpu'\nthreads = 1\n";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

void require(bool holds, const std::string& what) {
  if (!holds) fail(what + " [" + mld_message() + "]");
}

void expect(int wanted, int error, const char* call) {
  if (error != wanted)
    fail(std::string(call) + " gave " + mld_error_name(error) + ", not " + mld_error_name(wanted) + ": " +
         mld_message());
}

mld_closure* opened(const std::string& bundle) {
  mld_options options = MLD_OPTIONS_INIT;
  mld_closure* closure = nullptr;
  options.bundle = bundle.c_str();
  options.settings = kSettings;
  expect(MLD_OK, mld_open(&options, &closure), "mld_open");
  return closure;
}

mld_closure* with_cells(const std::string& bundle) {
  static std::vector<float> patches(std::size_t{kCells} * kSide * kSide, 1.0f);
  for (std::size_t k = 0; k < patches.size(); k += 23) patches[k] = 0.0f;
  mld_closure* closure = opened(bundle);
  expect(MLD_OK,
         mld_register_patches(closure, kCells, kIds, kSide, kSide, patches.data(), 0.0, MLD_COPY),
         "mld_register_patches");
  return closure;
}

void steps(mld_closure* closure, int first, int last) {
  std::vector<double> pressure(kCells, 8e9), burned(kCells);
  mld_input in{MLD_PRESSURE, MLD_HOST, pressure.data(), 0, 0, 0};
  mld_output out{MLD_BURNED_FRACTION, MLD_HOST, burned.data(), 0, 0, 0};
  for (int k = first; k < last; ++k) {
    expect(MLD_OK, mld_begin_step(closure, k * 0.3e-9, 0.3e-9), "mld_begin_step");
    expect(MLD_OK, mld_advance(closure, kCells, nullptr, &in, 1, &out, 1), "mld_advance");
    expect(MLD_OK, mld_commit(closure), "mld_commit");
  }
}

// Bytes whose end is the end of what may be read.
void* at_a_page_edge(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t room = (bytes + page - 1) / page * page;
  auto* block = static_cast<char*>(
      mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  require(block != MAP_FAILED, "mmap");
  require(mprotect(block + room, page, PROT_NONE) == 0, "mprotect");
  return block + room - bytes;
}

std::vector<struct sigaction> dispositions() {
  std::vector<struct sigaction> found(NSIG);
  for (int number = 1; number < NSIG; ++number) sigaction(number, nullptr, &found[number]);
  return found;
}

void same_dispositions(const std::vector<struct sigaction>& before, const std::string& when) {
  const auto now = dispositions();
  for (int number = 1; number < NSIG; ++number)
    require(before[number].sa_handler == now[number].sa_handler &&
                before[number].sa_flags == now[number].sa_flags,
            "the disposition of signal " + std::to_string(number) + " changed " + when);
}

void signals(const std::string& bundle) {
  const auto before = dispositions();
  sigset_t mask, later;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  mld_closure* closure = with_cells(bundle);
  same_dispositions(before, "in mld_open");
  steps(closure, 0, 12);
  same_dispositions(before, "in a step");
  expect(MLD_OK, mld_save(closure, (bundle + ".saved").c_str()), "mld_save");
  expect(MLD_OK, mld_close(&closure), "mld_close");
  same_dispositions(before, "until mld_close");
  pthread_sigmask(SIG_SETMASK, nullptr, &later);
  for (int number = 1; number < NSIG; ++number)  // not byte by byte: the kernel fills a part of the set
    require(sigismember(&mask, number) == sigismember(&later, number),
            "the mask of signal " + std::to_string(number) + " changed");
}

// A host that says nothing of SIGINT ends on it, as it would without a closure.
void interrupt(const std::string& bundle) {
  steps(with_cells(bundle), 0, 3);
  std::printf("held\n");
  std::fflush(stdout);
  raise(SIGINT);
  fail("the host did not end on SIGINT");
}

// Lengths that are too long by far, in every call that takes one: refused before anything is read.
void lengths(const std::string& bundle) {
  mld_closure* closure = with_cells(bundle);
  const std::int64_t many = 1 << 22;
  auto* pressure = static_cast<double*>(at_a_page_edge(kCells * sizeof(double)));
  auto* burned = static_cast<double*>(at_a_page_edge(kCells * sizeof(double)));
  for (int c = 0; c < kCells; ++c) pressure[c] = 8e9;
  mld_input in{MLD_PRESSURE, MLD_HOST, pressure, 0, 0, 0};
  mld_input shared{MLD_PRESSURE, MLD_HOST_DLPACK, pressure, 0, 0, 0};
  mld_input two[] = {in, {MLD_VELOCITY, MLD_HOST, pressure, 0, 0, 0}};
  mld_output out{MLD_BURNED_FRACTION, MLD_HOST, burned, 0, 0, 0};
  expect(MLD_OK, mld_begin_step(closure, 0.0, 0.3e-9), "mld_begin_step");
  for (const std::int64_t n : {many, std::int64_t{1} << 40, std::int64_t{1} << 62, std::int64_t{5}}) {
    expect(MLD_E_ARGUMENT, mld_advance(closure, n, nullptr, &in, 1, &out, 1), "mld_advance, too many");
    expect(MLD_E_ARGUMENT, mld_advance(closure, n, nullptr, two, 2, &out, 1), "mld_advance, velocity");
    expect(MLD_E_ARGUMENT, mld_advance(closure, n, nullptr, &shared, 1, &out, 1), "mld_advance, DLPack");
    expect(MLD_E_ARGUMENT, mld_submit(closure, n, nullptr, &in, 1, &out, 1), "mld_submit, too many");
  }
  expect(MLD_OK, mld_advance(closure, kCells, nullptr, &in, 1, &out, 1), "mld_advance");
  expect(MLD_OK, mld_commit(closure), "mld_commit");
  const std::int64_t fresh[] = {20};
  auto* patch = static_cast<float*>(at_a_page_edge(kSide * kSide * sizeof(float)));
  for (int k = 0; k < kSide * kSide; ++k) patch[k] = 1.0f;
  for (const std::int64_t side : {std::int64_t{2048}, std::int64_t{1} << 31, std::int64_t{1} << 40}) {
    expect(MLD_E_ARGUMENT, mld_register_patches(closure, 1, fresh, side, side, patch, 0.0, MLD_COPY),
           "mld_register_patches, too large");
    expect(MLD_E_ARGUMENT, mld_register_patches(closure, 1, fresh, side, side, patch, 0.0, MLD_BORROW),
           "mld_register_patches, too large and borrowed");
  }
  const double offsets[] = {0.0, 0.0};
  for (const std::int64_t side : {std::int64_t{1} << 31, std::int64_t{1} << 62})
    expect(MLD_E_ARGUMENT,
           mld_register_image(closure, 1, fresh, side, side, patch, 5e-8, offsets, MLD_COPY),
           "mld_register_image, more than memory");
  steps(closure, 1, 3);
  expect(MLD_OK, mld_close(&closure), "mld_close");
}

// A child, forked while another thread is in a call, is refused everything in a sentence; the parent goes on.
void fork_in_a_call(const std::string& bundle) {
  mld_closure* closure = with_cells(bundle);
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    int k = 0;
    while (!stop) steps(closure, k, k + 1), ++k;
  });
  for (int child = 0; child < 10; ++child) {
    usleep(5000);
    const pid_t pid = fork();
    if (pid == 0) {
      alarm(60);  // a hang ends with a signal
      mld_options options = MLD_OPTIONS_INIT;
      mld_closure *other = nullptr, *mine = closure;
      options.bundle = bundle.c_str();
      options.settings = kSettings;
      expect(MLD_E_PYTHON, mld_open(&options, &other), "mld_open in a child");
      require(std::strstr(mld_message(), "fork") != nullptr, "no word of the fork");
      require(other == nullptr, "a closure in a child");
      expect(MLD_E_PYTHON, mld_begin_step(mine, 1.0, 1e-9), "mld_begin_step in a child");
      expect(MLD_E_PYTHON, mld_commit(mine), "mld_commit in a child");
      expect(MLD_OK, mld_close(&mine), "mld_close in a child");
      require(mine == nullptr, "a handle after mld_close");
      std::_Exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child did not end as it should");
  }
  stop = true;
  busy.join();
  expect(MLD_OK, mld_close(&closure), "mld_close");
}

// Who forks before the first mld_open gives each child a closure of its own.
void fork_before(const std::string& bundle) {
  require(std::strlen(mld_version()) > 0, "a version");
  const pid_t pid = fork();
  mld_closure* closure = with_cells(bundle);
  steps(closure, 0, 3);
  expect(MLD_OK, mld_close(&closure), "mld_close");
  if (pid == 0) std::_Exit(0);
  int status = 0;
  waitpid(pid, &status, 0);
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child did not end as it should");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: attacks BUNDLE WHAT\n"), 2;
  const std::string bundle = argv[1], what = argv[2];
  alarm(300);
  if (what == "signals") signals(bundle);
  else if (what == "interrupt") interrupt(bundle);
  else if (what == "lengths") lengths(bundle);
  else if (what == "fork_in_a_call") fork_in_a_call(bundle);
  else if (what == "fork_before") fork_before(bundle);
  else return std::fprintf(stderr, "unknown: %s\n", what.c_str()), 2;
  std::printf("held\n");
  return 0;
}

// What a call must leave as it found it: the floating point environment, the number of OpenMP threads, and what
// becomes of signals.
#ifndef MLD_CLOSURE_HOST_STATE_HPP
#define MLD_CLOSURE_HOST_STATE_HPP

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cfenv>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mld_core {

// The OpenMP runtime of the program, once there is one. Looked up again until then: torch may bring it.
template <class Function>
Function omp(const char* name) {
  static Function found = nullptr;
  if (!found) found = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return found;
}

// Traps are off while this lives: torch makes infinities and NaN on purpose.
class HostState {
 public:
  HostState() {
    std::feholdexcept(&environment_);
    if (auto get = omp<int (*)()>("omp_get_max_threads")) threads_ = get();
  }
  ~HostState() {
    if (threads_ > 0)
      if (auto set = omp<void (*)(int)>("omp_set_num_threads")) set(threads_);
    std::fesetenv(&environment_);
  }
  HostState(const HostState&) = delete;
  HostState& operator=(const HostState&) = delete;

 private:
  std::fenv_t environment_;
  int threads_ = 0;
};

// Gives every signal back to the host: importing Python's `signal` takes SIGINT, and other modules may take more.
// Why system calls: sigaction of glibc adds a flag of its own (SA_RESTORER) to what it sets, so that what is put
// back through it is not what was there. What the kernel tells is kept as it is, without a look inside; signals
// that the C library keeps to itself, which sigaction refuses, are left alone.
class Signals {
 public:
  Signals() {
    struct sigaction unused;
    for (int number = 1; number < NSIG; ++number)
      known_[number] = sigaction(number, nullptr, &unused) == 0 && get(number, before_[number]);
  }
  ~Signals() { restore(); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  void restore() const {
    for (int number = 1; number < NSIG; ++number) {
      Disposition now;
      if (known_[number] && get(number, now) && std::memcmp(&now, &before_[number], sizeof now) != 0)
        syscall(SYS_rt_sigaction, number, &before_[number], nullptr, kMask);
    }
  }

 private:
  static constexpr std::size_t kMask = (NSIG - 1) / 8;  // bytes of the kernel's set of signals
  struct Disposition {
    alignas(std::uint64_t) unsigned char bytes[64];  // the kernel's struct has 32
  };

  static bool get(int number, Disposition& found) {
    found = {};
    return syscall(SYS_rt_sigaction, number, nullptr, &found, kMask) == 0;
  }

  Disposition before_[NSIG];
  bool known_[NSIG] = {};
};

}  // namespace mld_core

#endif

// What a call must leave as it found it: the floating point environment, the number of OpenMP threads, and what
// becomes of signals.
#ifndef MLD_CLOSURE_HOST_STATE_HPP
#define MLD_CLOSURE_HOST_STATE_HPP

#include <dlfcn.h>
#include <signal.h>

#include <cfenv>

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
class Signals {
 public:
  Signals() {
    for (int number = 1; number < NSIG; ++number) known_[number] = sigaction(number, nullptr, &before_[number]) == 0;
  }
  ~Signals() { restore(); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  void restore() const {
    for (int number = 1; number < NSIG; ++number) {
      struct sigaction now;
      if (!known_[number] || sigaction(number, nullptr, &now) != 0) continue;
      if (now.sa_handler != before_[number].sa_handler || now.sa_flags != before_[number].sa_flags)
        sigaction(number, &before_[number], nullptr);
    }
  }

 private:
  struct sigaction before_[NSIG];
  bool known_[NSIG] = {};
};

}  // namespace mld_core

#endif

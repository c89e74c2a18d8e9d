// The C interface: checks handles, keeps messages, and passes calls on to the backend it loads. What hosts pass
// is checked in arguments.cpp.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "backend.hpp"
#include "home.hpp"
#include "mld_closure/closure.h"

namespace mld_core {
namespace {

// The last call's failure, one for each thread.
thread_local Failure last;

int fail(int error, std::string message) {
  last = {error, std::move(message), {}, false};
  return error;
}

// Open sessions by number. A handle is never a pointer to anything: it holds a row and how often that row was
// used, so that a stale or damaged one is recognised without being followed.
class Table {
 public:
  mld_closure* add(std::unique_ptr<Session> session) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::size_t row = 0;
    while (row < rows_.size() && rows_[row].session) ++row;
    if (row == rows_.size()) rows_.emplace_back();
    rows_[row].session = std::move(session);
    ++rows_[row].uses;
    return reinterpret_cast<mld_closure*>((rows_[row].uses << kRowBits) | (row + 1));
  }

  std::shared_ptr<Session> find(const mld_closure* handle) {
    std::lock_guard<std::mutex> lock(mutex_);
    Row* row = at(handle);
    return row ? row->session : nullptr;
  }

  std::shared_ptr<Session> take(const mld_closure* handle) {
    std::lock_guard<std::mutex> lock(mutex_);
    Row* row = at(handle);
    return row ? std::move(row->session) : nullptr;
  }

 private:
  static constexpr int kRowBits = 16;
  struct Row {
    std::shared_ptr<Session> session;
    std::uintptr_t uses = 0;
  };

  Row* at(const mld_closure* handle) {
    const auto value = reinterpret_cast<std::uintptr_t>(handle);
    const std::size_t row = (value & ((std::uintptr_t{1} << kRowBits) - 1)) - 1;
    if (!value || row >= rows_.size() || rows_[row].uses != value >> kRowBits) return nullptr;
    return &rows_[row];
  }

  std::mutex mutex_;
  std::vector<Row> rows_;
};

// Lives as long as the process: hosts may close from destructors that run at exit.
Table& table() {
  static Table& one = *new Table;
  return one;
}

// Set in a child of a process that had started Python: locks and threads of the parent are gone or stuck there.
std::atomic<bool> forked{false};

int fail_forked(const char* name) {
  return fail(MLD_E_PYTHON, std::string(name) +
                                ": this process was forked from one that uses a closure; fork before the first "
                                "mld_open, or start a program of its own with exec");
}

// The backend's one function, and the Python it is to use; loaded once.
struct Backend {
  OpenSession open = nullptr;
  Home home;
};

bool load_backend(Backend& backend, Failure& why) {
  static std::mutex mutex;
  static Backend loaded;
  std::lock_guard<std::mutex> lock(mutex);
  if (!loaded.open) {
    static const int watched = pthread_atfork(nullptr, nullptr, [] { forked = true; });
    (void)watched;
    Home home;
    if (!provide_python(home, why)) return false;
    const std::string path = own_folder() + "/mld_backend_python.so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* symbol = library ? dlsym(library, "mld_backend_python_open") : nullptr;
    if (!symbol) {
      const char* reason = dlerror();
      why = {MLD_E_PYTHON,
             std::string("the Python backend cannot be loaded: ") + (reason ? reason : path),
             {},
             false};
      return false;
    }
    loaded.open = reinterpret_cast<OpenSession>(symbol);
    loaded.home = home;
  }
  backend = loaded;
  return true;
}

// The calls that this thread is in: more than one where a host's fallback calls a closure.
class Inside {
 public:
  explicit Inside(const Session& session) : session_(session), outer_(innermost) { innermost = this; }
  ~Inside() { innermost = outer_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  static bool of(const Session& session) {
    for (const Inside* call = innermost; call; call = call->outer_)
      if (&call->session_ == &session) return true;
    return false;
  }

 private:
  static thread_local const Inside* innermost;
  const Session& session_;
  const Inside* outer_;
};
thread_local const Inside* Inside::innermost = nullptr;

int fail_inside(const char* name) {
  return fail(MLD_E_ORDER, std::string(name) +
                               ": called from a fallback of the same closure, in the middle "
                               "of a call; note what you need and call afterwards");
}

// Runs a call with the session of a handle; keeps its failure for mld_message.
template <class Call>
int with(const mld_closure* handle, const char* name, Call call) noexcept {
  try {
    last = {};
    if (forked) return fail_forked(name);
    const auto session = handle ? table().find(handle) : nullptr;
    if (!session)
      return fail(MLD_E_HANDLE, std::string(name) + (handle ? ": this closure was closed, or is none"
                                                            : ": the closure is NULL; open one first"));
    if (Inside::of(*session)) return fail_inside(name);
    const Inside inside(*session);
    Failure why;
    const int error = call(*session, why);
    last = {};  // what a fallback's own calls left there
    if (error == MLD_OK) return MLD_OK;
    if (why.refused) session->refuse(name, why);
    why.message = std::string(name) + ": " + why.message;
    last = std::move(why);
    return last.error;
  } catch (const std::bad_alloc&) {
    return last.error = MLD_E_MEMORY;
  } catch (...) {
    return last.error = MLD_E_INTERNAL;
  }
}

int open(const mld_options* given, mld_closure** closure) {
  if (!closure) return fail(MLD_E_ARGUMENT, "mld_open: the place for the closure is NULL");
  *closure = nullptr;
  if (!given) return fail(MLD_E_ARGUMENT, "mld_open: the options are NULL");
  mld_options options = MLD_OPTIONS_INIT;
  std::string why_not;
  if (!take_options(given, options, why_not)) return fail(MLD_E_ARGUMENT, "mld_open: " + why_not);
  if (!options.bundle) options.bundle = "";
  if (!*options.bundle && !options.has_comm) return fail(MLD_E_ARGUMENT, "mld_open: no bundle is named");
  Backend backend;
  Failure why;
  if (load_backend(backend, why)) {
    std::unique_ptr<Session> session(backend.open(backend.home, options, why));
    if (session) {
      *closure = table().add(std::move(session));
      return MLD_OK;
    }
  }
  why.message = "mld_open: " + why.message;
  last = std::move(why);
  return last.error;
}

}  // namespace
}  // namespace mld_core

using namespace mld_core;

int mld_open(const mld_options* options, mld_closure** closure) {
  try {
    last = {};
    if (closure) *closure = nullptr;
    return forked ? fail_forked("mld_open") : mld_core::open(options, closure);
  } catch (const std::bad_alloc&) {
    return last.error = MLD_E_MEMORY;
  } catch (...) {
    return last.error = MLD_E_INTERNAL;
  }
}

int mld_close(mld_closure** closure) {
  try {
    last = {};
    if (!closure || !*closure) return MLD_OK;
    if (forked) {  // it is the parent's
      *closure = nullptr;
      return MLD_OK;
    }
    if (const auto open = table().find(*closure))
      if (Inside::of(*open)) return fail_inside("mld_close");
    const auto session = table().take(*closure);
    *closure = nullptr;
    if (!session) return fail(MLD_E_HANDLE, "mld_close: this closure was closed already, or is none");
    return session->close(last);
  } catch (...) {
    return last.error = MLD_E_INTERNAL;
  }
}

int mld_register_patches(mld_closure* closure, int64_t n, const int64_t* ids, int64_t ny, int64_t nx,
                         const float* patches, double pixel, int32_t ownership) {
  return with(closure, "mld_register_patches", [&](Session& s, Failure& why) {
    if (int e = check_cells(n, ids, false, why)) return e;
    if (int e = check_size("patches", n, ny, nx, why)) return e;
    if (!patches && n > 0) return refuse(why, "patches is NULL");
    return s.register_patches({n, ids}, {ny, nx, patches, pixel, nullptr, ownership != MLD_BORROW, nullptr},
                              why);
  });
}

int mld_register_image(mld_closure* closure, int64_t n, const int64_t* ids, int64_t ny, int64_t nx,
                       const float* image, double pixel, const double* offsets, int32_t ownership) {
  return with(closure, "mld_register_image", [&](Session& s, Failure& why) {
    if (int e = check_cells(n, ids, false, why)) return e;
    if (int e = check_size("an image", 1, ny, nx, why)) return e;
    if (!image) return refuse(why, "image is NULL");
    if (!offsets && n > 0) return refuse(why, "offsets is NULL");
    return s.register_image({n, ids}, {ny, nx, image, pixel, offsets, ownership != MLD_BORROW, nullptr}, why);
  });
}

int mld_register_file(mld_closure* closure, int64_t n, const int64_t* ids, const char* path,
                      const char* dataset, double pixel, const double* offsets) {
  return with(closure, "mld_register_file", [&](Session& s, Failure& why) {
    if (int e = check_cells(n, ids, false, why)) return e;
    if (!path) return refuse(why, "path is NULL");
    if (!offsets && n > 0) return refuse(why, "offsets is NULL");
    return s.register_file({n, ids}, path, dataset, pixel, offsets, nullptr, why);
  });
}

int mld_register(mld_closure* closure, const mld_registration* registration) {
  return with(closure, "mld_register", [&](Session& s, Failure& why) {
    mld_registration r = MLD_REGISTRATION_INIT;
    if (int e = take_registration(registration, r, why)) return e;
    const Cells cells{r.n, r.ids};
    if (r.path) return s.register_file(cells, r.path, r.dataset, r.pixel, r.offsets, r.parts, why);
    const float* data = r.image ? r.image : r.patches;
    const Material material{r.ny, r.nx, data, r.pixel, r.offsets, r.ownership != MLD_BORROW, r.parts};
    return r.image ? s.register_image(cells, material, why) : s.register_patches(cells, material, why);
  });
}

int mld_unregister(mld_closure* closure, int64_t n, const int64_t* ids) {
  return with(closure, "mld_unregister", [&](Session& s, Failure& why) {
    if (int e = check_cells(n, ids, false, why)) return e;
    return s.unregister({n, ids}, why);
  });
}

int mld_migrate(mld_closure* closure, int64_t n, const int64_t* ids, const int32_t* new_owner) {
  return with(closure, "mld_migrate", [&](Session& s, Failure& why) {
    if (int e = check_cells(n, ids, false, why)) return e;
    if (!new_owner && n > 0) return refuse(why, "new_owner is NULL");
    return s.migrate({n, ids}, new_owner, why);
  });
}

int mld_begin_step(mld_closure* closure, double t, double dt) {
  return with(closure, "mld_begin_step", [&](Session& s, Failure& why) { return s.begin_step(t, dt, why); });
}

int mld_advance(mld_closure* closure, int64_t n, const int64_t* ids, const mld_input* inputs,
                int32_t n_inputs, const mld_output* outputs, int32_t n_outputs) {
  return with(closure, "mld_advance", [&](Session& s, Failure& why) {
    const Arrays arrays{inputs, n_inputs, outputs, n_outputs};
    if (int e = check_call({n, ids}, arrays, why)) return e;
    return s.advance({n, ids}, arrays, false, why);
  });
}

int mld_submit(mld_closure* closure, int64_t n, const int64_t* ids, const mld_input* inputs, int32_t n_inputs,
               const mld_output* outputs, int32_t n_outputs) {
  return with(closure, "mld_submit", [&](Session& s, Failure& why) {
    const Arrays arrays{inputs, n_inputs, outputs, n_outputs};
    if (int e = check_call({n, ids}, arrays, why)) return e;
    return s.advance({n, ids}, arrays, true, why);
  });
}

int mld_wait(mld_closure* closure) {
  return with(closure, "mld_wait", [](Session& s, Failure& why) { return s.wait(why); });
}

int mld_commit(mld_closure* closure) {
  return with(closure, "mld_commit", [](Session& s, Failure& why) { return s.commit(why); });
}

int mld_rollback(mld_closure* closure) {
  return with(closure, "mld_rollback", [](Session& s, Failure& why) { return s.rollback(why); });
}

int mld_dt_max(mld_closure* closure, double* dt) {
  return with(closure, "mld_dt_max", [&](Session& s, Failure& why) {
    return dt ? s.dt_max(*dt, why) : refuse(why, "the place for the step is NULL");
  });
}

int mld_counter(mld_closure* closure, const char* name, double* value) {
  return with(closure, "mld_counter", [&](Session& s, Failure& why) {
    return name && value ? s.counter(name, *value, why)
                         : refuse(why, "name or the place for the value is NULL");
  });
}

int mld_counter_sum(mld_closure* closure, const char* name, double* value) {
  return with(closure, "mld_counter_sum", [&](Session& s, Failure& why) {
    return name && value ? s.counter_sum(name, *value, why)
                         : refuse(why, "name or the place for the value is NULL");
  });
}

int mld_fact(mld_closure* closure, const char* name, double* value) {
  return with(closure, "mld_fact", [&](Session& s, Failure& why) {
    return name && value ? s.fact(name, *value, why) : refuse(why, "name or the place for the value is NULL");
  });
}

int mld_read(mld_closure* closure, int64_t n, const int64_t* ids, const mld_output* outputs,
             int32_t n_outputs) {
  return with(closure, "mld_read", [&](Session& s, Failure& why) {
    const Arrays arrays{nullptr, 0, outputs, n_outputs};
    if (int e = check_read({n, ids}, arrays, why)) return e;
    return s.read({n, ids}, arrays, why);
  });
}

int mld_save(mld_closure* closure, const char* path) {
  return with(closure, "mld_save", [&](Session& s, Failure& why) {
    return path ? s.save(path, why) : refuse(why, "path is NULL");
  });
}

int mld_restore(mld_closure* closure, const char* path) {
  return with(closure, "mld_restore", [&](Session& s, Failure& why) {
    return path ? s.restore(path, why) : refuse(why, "path is NULL");
  });
}

const char* mld_message(void) {
  if (last.error && last.message.empty()) return "out of memory while the call was prepared";
  return last.message.c_str();
}

int64_t mld_message_cells(const int64_t** ids) {
  if (ids) *ids = last.cells.data();
  return static_cast<int64_t>(last.cells.size());
}

int mld_recoverable(int error) { return error >= MLD_OK && error < MLD_E_HANDLE; }

const char* mld_error_name(int error) {
  switch (error) {
    case MLD_OK:
      return "MLD_OK";
    case MLD_E_ARGUMENT:
      return "MLD_E_ARGUMENT";
    case MLD_E_ORDER:
      return "MLD_E_ORDER";
    case MLD_E_CELLS:
      return "MLD_E_CELLS";
    case MLD_E_FILE:
      return "MLD_E_FILE";
    case MLD_E_MEMORY:
      return "MLD_E_MEMORY";
    case MLD_E_MPI:
      return "MLD_E_MPI";
    case MLD_E_HANDLE:
      return "MLD_E_HANDLE";
    case MLD_E_PYTHON:
      return "MLD_E_PYTHON";
    case MLD_E_RANKS:
      return "MLD_E_RANKS";
    default:
      return "MLD_E_INTERNAL";
  }
}

const char* mld_version(void) { return MLD_VERSION; }

int mld_abi(void) { return MLD_ABI; }

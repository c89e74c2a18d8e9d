// The Python backend: an open closure is a `Session` of mld_closure.bridge, called on views of the host's
// arrays.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "backend.hpp"
#include "host_state.hpp"
#include "interpreter.hpp"
#include "views.hpp"

namespace mld_core {
namespace {

// Python is there and not on its way out; only then may it be called.
bool python_lives() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsInitialized() && !Py_IsFinalizing();
#else
  return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

// Fills a failure from a Python error, in the words of bridge.describe.
void describe(const py::error_already_set& error, Failure& why) {
  try {
    const py::tuple found = py::module_::import("mld_closure.bridge").attr("describe")(error.value());
    why = {found[0].cast<int>(), found[1].cast<std::string>(), found[2].cast<std::vector<std::int64_t>>(),
           false};
  } catch (const std::exception&) {
    why = {MLD_E_INTERNAL, error.what(), {}, false};
  }
}

// Runs `call` with the interpreter lock and the host's state put aside.
template <class Call>
int in_python(Failure& why, Call call) noexcept {
  if (!python_lives()) {
    why = {MLD_E_PYTHON, "the program's Python has ended", {}, false};
    return why.error;
  }
  try {
    HostState state;
    py::gil_scoped_acquire lock;
    try {
      call();
      return MLD_OK;
    } catch (const py::error_already_set& error) {
      describe(error, why);
    } catch (const std::bad_alloc&) {
      why.error = MLD_E_MEMORY;
      why.message = "out of memory";
    } catch (const std::exception& error) {
      why = {MLD_E_INTERNAL, error.what(), {}, false};
    }
  } catch (...) {
    why.error = MLD_E_INTERNAL;
  }
  return why.error;
}

// A host's fallback as the callable that the closure wants.
py::object fallback_of(const mld_options& options) {
  if (!options.fallback) return py::none();
  return py::cpp_function([call = options.fallback, data = options.fallback_data](py::object request) {
    using Numbers = py::array_t<double, py::array::c_style | py::array::forcecast>;
    using Whole = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;
    const auto number = [&](const char* name) { return request.attr(name).cast<Numbers>(); };
    const auto ids = request.attr("ids").cast<Whole>();
    const auto up = number("up"), shock = number("shock_pressure"), pressure = number("pressure");
    const auto since = number("since"), until = number("until"), dt = number("dt"), before = number("before");
    py::array_t<double> after({before.shape(0), before.shape(1)});
    const int failed = call(data, ids.size(), ids.data(), up.data(), shock.data(), pressure.data(),
                            since.data(), until.data(), dt.data(), before.data(), after.mutable_data());
    if (failed) throw std::runtime_error("the host's fallback returned " + std::to_string(failed));
    return after;
  });
}

class PythonSession final : public Session {
 public:
  PythonSession(const mld_options& options, bool started) {
    const py::module_ bridge = py::module_::import("mld_closure.bridge");
    const py::object comm = options.has_comm ? py::object(py::int_(options.comm)) : py::none();
    const std::string mpi = options.has_comm ? loaded_mpi() : "";
    session_ = bridge.attr("open")(options.bundle, options.settings ? options.settings : "", comm, mpi,
                                   fallback_of(options), started);
    advance_ = session_.attr("advance");
    submit_ = session_.attr("submit");
    begin_ = session_.attr("begin_step");
    commit_ = session_.attr("commit");
    rollback_ = session_.attr("rollback");
    views_ = std::make_unique<Views>(bridge.attr("Borrowed"), options.id_bits);
  }

  // Without Python the references are left behind: there is nothing to give them back to.
  ~PythonSession() override {
    if (!python_lives()) {
      release();
      return;
    }
    HostState state;
    py::gil_scoped_acquire lock;
    views_.reset();
    advance_ = submit_ = begin_ = commit_ = rollback_ = session_ = py::object();
  }

  int register_patches(Cells cells, const Material& m, Failure& why) noexcept override {
    return locked(why, [&] {
      session_.attr("register_patches")(views_->ids(cells), block(m.data, {cells.n, m.ny, m.nx}),
                                        m.pixel, m.copy, parts_of(cells, m.parts));
    });
  }
  int register_image(Cells cells, const Material& m, Failure& why) noexcept override {
    return locked(why, [&] {
      session_.attr("register_image")(views_->ids(cells), block(m.data, {m.ny, m.nx}), m.pixel,
                                      block(m.offsets, {cells.n, 2}), m.copy, parts_of(cells, m.parts));
    });
  }
  int register_file(Cells cells, const char* path, const char* dataset, double pixel, const double* offsets,
                    const std::int32_t* parts, Failure& why) noexcept override {
    return locked(why, [&] {
      session_.attr("register_file")(views_->ids(cells), path, dataset, pixel,
                                     block(offsets, {cells.n, 2}), parts_of(cells, parts));
    });
  }
  int unregister(Cells cells, Failure& why) noexcept override {
    return locked(why, [&] { session_.attr("unregister")(views_->ids(cells)); });
  }
  int migrate(Cells cells, const std::int32_t* new_owner, Failure& why) noexcept override {
    return locked(why, [&] { session_.attr("migrate")(views_->ids(cells), view(new_owner, cells.n)); });
  }
  int begin_step(double t, double dt, Failure& why) noexcept override {
    return locked(why, [&] { begin_(t, dt); });
  }
  int advance(Cells cells, const Arrays& arrays, bool later, Failure& why) noexcept override {
    return locked(why, [&] {
      const CallViews call = views_->of(cells, arrays);
      (later ? submit_ : advance_)(cells.n, call.ids, call.inputs, call.outputs);
    });
  }
  int wait(Failure& why) noexcept override {
    return locked(why, [&] { session_.attr("wait")(); });
  }
  int commit(Failure& why) noexcept override {
    return locked(why, [&] { commit_(); });
  }
  int rollback(Failure& why) noexcept override {
    return locked(why, [&] { rollback_(); });
  }
  int dt_max(double& dt, Failure& why) noexcept override {
    return locked(why, [&] { dt = session_.attr("dt_max").cast<double>(); });
  }
  int counter(const char* name, double& value, Failure& why) noexcept override {
    return locked(why, [&] { value = session_.attr("counter")(name).cast<double>(); });
  }
  int counter_sum(const char* name, double& value, Failure& why) noexcept override {
    return locked(why, [&] { value = session_.attr("counter_sum")(name).cast<double>(); });
  }
  int fact(const char* name, double& value, Failure& why) noexcept override {
    return locked(why, [&] { value = session_.attr("fact")(name).cast<double>(); });
  }
  int read(Cells cells, const Arrays& arrays, Failure& why) noexcept override {
    return locked(why, [&] {
      const CallViews call = views_->of(cells, arrays);
      session_.attr("read")(cells.n, call.ids, call.outputs);
    });
  }
  int save(const char* path, Failure& why) noexcept override {
    return locked(why, [&] { session_.attr("save")(path); });
  }
  int restore(const char* path, Failure& why) noexcept override {
    return locked(why, [&] { session_.attr("restore")(path); });
  }
  int close(Failure& why) noexcept override {
    if (!python_lives()) return MLD_OK;  // it took everything along
    return locked(why, [&] { session_.attr("close")(); });
  }
  void refuse(const char* call, Failure& why) noexcept override {
    const std::string message = why.message;
    locked(why, [&] { session_.attr("refuse")(call, message); });
  }

 private:
  // One call at a time for each session. The interpreter lock is let go while waiting for the session's turn:
  // who has the turn may need the interpreter.
  template <class Call>
  int locked(Failure& why, Call call) noexcept {
    return in_python(why, [&] {
      std::unique_lock<std::mutex> turn(mutex_, std::try_to_lock);
      if (!turn) {
        py::gil_scoped_release others;
        turn.lock();
      }
      call();
    });
  }

  static py::object parts_of(Cells cells, const std::int32_t* parts) {
    return parts ? py::object(view(parts, cells.n)) : py::none();
  }

  void release() {
    for (py::object* held : {&session_, &advance_, &submit_, &begin_, &commit_, &rollback_}) held->release();
    views_.release();
  }

  std::mutex mutex_;
  py::object session_, advance_, submit_, begin_, commit_, rollback_;
  std::unique_ptr<Views> views_;
};

// Lets Python find the package that this library belongs to, where its own paths do not name it.
void find_package(const std::string& site) {
  const py::module_ sys = py::module_::import("sys");
  py::list path = sys.attr("path");
  const py::object is_file = py::module_::import("os.path").attr("isfile");
  const bool package = is_file(site + "/mld_closure/__init__.py").cast<bool>();
  if (package && !path.contains(site)) path.insert(0, site);
}

}  // namespace
}  // namespace mld_core

extern "C" MLD_API mld_core::Session* mld_backend_python_open(const mld_core::Home& home,
                                                              const mld_options& options,
                                                              mld_core::Failure& why) noexcept {
  using namespace mld_core;
  HostState state;
  static bool ours = false;
  const bool alone = ours || !Py_IsInitialized();  // a program that runs Python has given it its signals
  const std::unique_ptr<Signals> signals = alone ? std::make_unique<Signals>() : nullptr;
  bool started = false;
  if (!start_python(home, started, why)) return nullptr;
  ours = ours || started;
  Session* session = nullptr;
  in_python(why, [&] {
    if (ours) {
      py::module_::import("signal");
      signals->restore();  // at once: the imports that follow take seconds
      find_package(home.site);
    }
    try {
      py::module_::import("mld_closure.bridge");
    } catch (const py::error_already_set& error) {
      throw std::runtime_error("Python" + (home.python.empty() ? "" : " at " + home.python) +
                               " cannot import mld_closure: " + error.what());
    }
    session = new PythonSession(options, ours);
  });
  return session;
}

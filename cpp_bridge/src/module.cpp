// mld_closure._bridge: closure.hpp as a Python module, so that the C interface is tested from Python too.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mld_closure/closure.hpp"

namespace py = pybind11;

namespace {

using Numbers = py::array_t<double>;  // any stride
using Packed = py::array_t<float, py::array::c_style>;
using Ids = py::array_t<std::int64_t, py::array::c_style>;
using Parts = std::vector<std::int32_t>;

const std::map<std::string, mld::Quantity> kOutputs = {
    {"burned_fraction", mld::Quantity::burned_fraction},
    {"burn_rate", mld::Quantity::burn_rate},
    {"hotspot_area_fraction", mld::Quantity::hotspot_area_fraction},
    {"hotspot_area_rate", mld::Quantity::hotspot_area_rate},
    {"hotspot_temperature", mld::Quantity::hotspot_temperature},
    {"hotspot_temperature_rate", mld::Quantity::hotspot_temperature_rate},
    {"mean_temperature", mld::Quantity::mean_temperature},
    {"mean_pressure", mld::Quantity::mean_pressure},
    {"porosity", mld::Quantity::porosity},
    {"uncertainty", mld::Quantity::uncertainty},
    {"status", mld::Quantity::status},
    {"burned_increment", mld::Quantity::burned_increment},
    {"heat_increment", mld::Quantity::heat_increment},
    {"burned_mass", mld::Quantity::burned_mass},
};

template <class T>
mld_input input(mld::Quantity quantity, const py::array_t<T>& array, std::int32_t device) {
  return {static_cast<std::int32_t>(quantity), device, array.data(), array.strides(0), 0, 0.0};
}

struct Call {
  std::vector<mld_input> inputs;
  std::vector<mld_output> outputs;
  std::vector<std::int64_t> ids;
  bool all = false;
  std::int64_t n = 0;
};

// Adds arrays for outputs; see call_of.
void add_outputs(Call& call, const py::dict& outputs, std::int32_t device) {
  for (const auto& [name, array] : outputs) {
    auto target = array.cast<py::array>();
    if (target.ndim() != 1 || target.size() != call.n)
      throw py::value_error("arrays of another length than the call");
    const auto quantity = kOutputs.at(name.cast<std::string>());
    const bool whole = quantity == mld::Quantity::status;
    if (!target.dtype().is(whole ? py::dtype::of<std::int64_t>() : py::dtype::of<double>()))
      throw py::type_error("outputs are arrays of float64, the status is one of int64");
    call.outputs.push_back(
        {static_cast<std::int32_t>(quantity), device, target.mutable_data(), target.strides(0), 0, 0.0});
  }
}

// The arguments of an advance. Numbers of outputs that do not match are this module's to refuse: C cannot see
// them.
Call call_of(const py::object& ids, const Numbers& pressure, const py::object& velocity,
             const py::dict& outputs, std::int32_t device, const py::object& mass = py::none(),
             const py::object& entropy = py::none()) {
  Call call;
  call.n = pressure.size();
  call.all = ids.is_none();
  if (!call.all) call.ids = ids.cast<std::vector<std::int64_t>>();
  if (!call.all) call.n = static_cast<std::int64_t>(call.ids.size());
  const auto fits = [&](const py::array& array) {
    if (array.ndim() != 1 || array.size() != call.n)
      throw py::value_error("arrays of another length than the call");
  };
  fits(pressure);
  call.inputs.push_back(input(mld::Quantity::pressure, pressure, device));
  const auto add = [&](mld::Quantity quantity, const py::object& given, const char* name) {
    if (given.is_none()) return;
    const auto array = given.cast<Numbers>();
    fits(array);
    if (array.ptr() != given.ptr()) throw py::type_error(std::string(name) + " must be an array of float64");
    call.inputs.push_back(input(quantity, array, device));
  };
  add(mld::Quantity::velocity, velocity, "velocity");
  add(mld::Quantity::mass, mass, "mass");
  add(mld::Quantity::entropy, entropy, "entropy");
  add_outputs(call, outputs, device);
  return call;
}

template <class Function>
void run(Function function, mld::Closure& closure, const Call& call) {
  static const std::int64_t nothing = 0;
  const std::int64_t* ids = call.all ? nullptr : call.ids.empty() ? &nothing : call.ids.data();
  py::gil_scoped_release others;
  mld::check(function(closure.get(), call.n, ids, call.inputs.data(),
                      static_cast<std::int32_t>(call.inputs.size()), call.outputs.data(),
                      static_cast<std::int32_t>(call.outputs.size())));
}

mld::Closure::Ids span(const Ids& ids) { return {ids.data(), static_cast<std::size_t>(ids.size())}; }

// Seconds that `count` steps begun, advanced and rolled back, or committed one after the other, take in C++.
double time_steps(mld::Closure& closure, double t, double dt, const Call& call, int count, bool commit) {
  py::gil_scoped_release others;
  const std::int64_t* ids = call.all ? nullptr : call.ids.data();
  const auto begun = std::chrono::steady_clock::now();
  for (int k = 0; k < count; ++k) {
    closure.begin_step(commit ? t + k * dt : t, dt);
    mld::check(mld_advance(closure.get(), call.n, ids, call.inputs.data(),
                           static_cast<std::int32_t>(call.inputs.size()), call.outputs.data(),
                           static_cast<std::int32_t>(call.outputs.size())));
    commit ? closure.commit() : closure.rollback();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

void must_fit(bool fits, const char* what) {
  if (!fits) throw py::value_error(what);
}

}  // namespace

PYBIND11_MODULE(_bridge, m) {
  m.doc() = "closure.hpp, called from Python.";
  m.attr("abi") = mld_abi();
  m.attr("version") = mld_version();

  static PyObject* error = PyErr_NewException("mld_closure._bridge.Error", PyExc_RuntimeError, nullptr);
  m.add_object("Error", error);
  py::register_exception_translator([](std::exception_ptr raised) {
    try {
      if (raised) std::rethrow_exception(raised);
    } catch (const mld::Error& e) {
      py::object instance = py::reinterpret_borrow<py::object>(error)(e.what());
      instance.attr("code") = e.code();
      instance.attr("name") = mld_error_name(e.code());
      instance.attr("recoverable") = e.recoverable();
      instance.attr("cells") = e.cells();
      PyErr_SetObject(error, instance.ptr());
    }
  });

  using Release = py::call_guard<py::gil_scoped_release>;
  py::class_<mld::Closure>(m, "Closure")
      .def(py::init([](std::string bundle, std::string settings, py::object comm) {
             mld::Options options(std::move(bundle), std::move(settings));
             options.has_comm = !comm.is_none();
             if (options.has_comm) options.comm = comm.cast<std::int32_t>();
             py::gil_scoped_release others;
             return mld::Closure(options);
           }),
           py::arg("bundle"), py::arg("settings") = "", py::arg("comm") = py::none())
      .def(
          "register_patches",
          [](mld::Closure& c, const Ids& ids, const Packed& patches, double pixel, bool borrow,
             const Parts& parts) {
            must_fit(patches.ndim() == 3 && patches.shape(0) == ids.size(), "patches must be (n, ny, nx)");
            py::gil_scoped_release others;
            c.register_patches(span(ids), patches.shape(1), patches.shape(2),
                               {patches.data(), static_cast<std::size_t>(patches.size())}, pixel,
                               borrow ? MLD_BORROW : MLD_COPY, {parts.data(), parts.size()});
          },
          py::arg("ids"), py::arg("patches"), py::arg("pixel") = 0.0, py::arg("borrow") = false,
          py::arg("parts") = Parts())
      .def(
          "register_image",
          [](mld::Closure& c, const Ids& ids, const Packed& image, double pixel,
             const py::array_t<double, py::array::c_style>& offsets, const Parts& parts) {
            must_fit(image.ndim() == 2, "an image must be (ny, nx)");
            py::gil_scoped_release others;
            c.register_image(span(ids), image.shape(0), image.shape(1),
                             {image.data(), static_cast<std::size_t>(image.size())}, pixel,
                             {offsets.data(), static_cast<std::size_t>(offsets.size())}, MLD_COPY,
                             {parts.data(), parts.size()});
          },
          py::arg("ids"), py::arg("image"), py::arg("pixel"), py::arg("offsets"), py::arg("parts") = Parts())
      .def(
          "register_file",
          [](mld::Closure& c, const Ids& ids, const std::string& path,
             const py::array_t<double, py::array::c_style>& offsets, double pixel, const Parts& parts) {
            py::gil_scoped_release others;
            c.register_file(span(ids), path, {offsets.data(), static_cast<std::size_t>(offsets.size())},
                            pixel, "", {parts.data(), parts.size()});
          },
          py::arg("ids"), py::arg("path"), py::arg("offsets"), py::arg("pixel") = 0.0,
          py::arg("parts") = Parts())
      .def("unregister", [](mld::Closure& c, const Ids& ids) { c.unregister(span(ids)); })
      .def("migrate",
           [](mld::Closure& c, const Ids& ids, const std::vector<std::int32_t>& owner) {
             c.migrate(span(ids), {owner.data(), owner.size()});
           })
      .def("begin_step", &mld::Closure::begin_step, Release())
      .def(
          "advance",
          [](mld::Closure& c, const py::object& ids, const Numbers& pressure, const py::object& velocity,
             const py::dict& outputs, std::int32_t device, const py::object& mass,
             const py::object& entropy) {
            run(mld_advance, c, call_of(ids, pressure, velocity, outputs, device, mass, entropy));
          },
          py::arg("ids").none(true), py::arg("pressure").noconvert(), py::arg("velocity") = py::none(),
          py::arg("outputs") = py::dict(), py::arg("device") = 0, py::arg("mass") = py::none(),
          py::arg("entropy") = py::none())
      .def(
          "submit",
          [](mld::Closure& c, const py::object& ids, const Numbers& pressure, const py::object& velocity,
             const py::dict& outputs, std::int32_t device, const py::object& mass,
             const py::object& entropy) {
            run(mld_submit, c, call_of(ids, pressure, velocity, outputs, device, mass, entropy));
          },
          py::arg("ids").none(true), py::arg("pressure").noconvert(), py::arg("velocity") = py::none(),
          py::arg("outputs") = py::dict(), py::arg("device") = 0, py::arg("mass") = py::none(),
          py::arg("entropy") = py::none())
      .def("time_steps",
           [](mld::Closure& c, double t, double dt, const py::object& ids, const Numbers& pressure,
              const py::dict& outputs, int count, bool commit) {
             return time_steps(c, t, dt, call_of(ids, pressure, py::none(), outputs, 0), count, commit);
           },
           py::arg("t"), py::arg("dt"), py::arg("ids").none(true), py::arg("pressure"), py::arg("outputs"),
           py::arg("count"), py::arg("commit") = false)
      .def("wait", &mld::Closure::wait, Release())
      .def("commit", &mld::Closure::commit, Release())
      .def("rollback", &mld::Closure::rollback, Release())
      .def("dt_max", &mld::Closure::dt_max, Release())
      .def("counter", &mld::Closure::counter, Release())
      .def("read",
           [](mld::Closure& c, const Ids& ids, const py::dict& outputs) {
             Call call;
             call.n = ids.size();
             add_outputs(call, outputs, 0);
             py::gil_scoped_release others;
             mld::check(mld_read(c.get(), call.n, ids.data(), call.outputs.data(),
                                 static_cast<std::int32_t>(call.outputs.size())));
           })
      .def("fact", &mld::Closure::fact, Release())
      .def("counter_sum", &mld::Closure::counter_sum, Release())
      .def("save", &mld::Closure::save, Release())
      .def("restore", &mld::Closure::restore, Release())
      .def("close", &mld::Closure::close, Release());
}

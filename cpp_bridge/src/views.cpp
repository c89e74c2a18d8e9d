#include "views.hpp"

#include <memory>

namespace mld_core {
namespace {

constexpr std::size_t kKept = 64;

const char* name_of(int quantity) {
  static const char* const inputs[] = {"pressure", "velocity", "mass", "entropy"};
  static const char* const outputs[] = {"burned_fraction",
                                        "burn_rate",
                                        "hotspot_area_fraction",
                                        "hotspot_area_rate",
                                        "hotspot_temperature",
                                        "hotspot_temperature_rate",
                                        "mean_temperature",
                                        "mean_pressure",
                                        "porosity",
                                        "uncertainty",
                                        "status",
                                        "burned_increment",
                                        "heat_increment",
                                        "burned_mass"};
  return quantity < MLD_BURNED_FRACTION ? inputs[quantity - MLD_PRESSURE]
                                        : outputs[quantity - MLD_BURNED_FRACTION];
}

// The structs of DLPack 0 (github.com/dmlc/dlpack), which every consumer still takes.
struct Tensor {
  void* data;
  std::int32_t device_type, device_id;
  std::int32_t dimensions;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  std::int64_t *shape, *strides;
  std::uint64_t offset;
};
struct ManagedTensor {
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
  std::int64_t shape, stride;
};

void drop_unused(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor")) return;  // taken over by who read it
  auto* managed = static_cast<ManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
  managed->deleter(managed);
}

py::object dlpack(void* data, std::int64_t n, std::int64_t stride, int device, int index, bool whole_number) {
  auto managed = std::make_unique<ManagedTensor>();
  managed->shape = n;
  managed->stride = stride ? stride / 8 : 1;
  managed->context = nullptr;
  managed->deleter = [](ManagedTensor* self) { delete self; };
  const std::uint8_t code = whole_number ? 0 : 2;
  managed->tensor = {data, device, index, 1, code, 64, 1, &managed->shape, &managed->stride, 0};
  PyObject* capsule = PyCapsule_New(managed.get(), "dltensor", drop_unused);
  if (!capsule) throw py::error_already_set();
  managed.release();
  return py::reinterpret_steal<py::object>(capsule);
}

void add(std::string& key, const void* data, std::size_t size) {
  key.append(static_cast<const char*>(data), size);
}

}  // namespace

py::array Views::ids(Cells cells) const {
  if (bits_ == 32) return view(reinterpret_cast<const std::int32_t*>(cells.ids), cells.n);
  return view(cells.ids, cells.n);
}

// An array, or (array, scale) where it has one.
template <class Array>
py::object Views::array(const Array& a, std::int64_t n) const {
  const py::object plain = unscaled(a, n);
  if (a.scale == 0.0 || a.scale == 1.0) return plain;
  return py::make_tuple(plain, a.scale);
}

template <class Array>
py::object Views::unscaled(const Array& a, std::int64_t n) const {
  const bool whole_number = a.quantity == MLD_STATUS;
  if (a.device != MLD_HOST) {
    void* data = const_cast<void*>(static_cast<const void*>(a.data));
    const auto device = a.device;
    const auto index = static_cast<int>(a.device_index);
    auto capsule = py::cpp_function(
        [=, stride = a.stride] { return dlpack(data, n, stride, device, index, whole_number); });
    return borrowed_(capsule, device, index);
  }
  if (whole_number) return view(static_cast<const std::int64_t*>(a.data), n, a.stride);
  return view(static_cast<const double*>(a.data), n, a.stride);
}

CallViews Views::make(Cells cells, const Arrays& arrays) const {
  CallViews out;
  out.ids = cells.ids || cells.n == 0 ? py::object(ids(cells)) : py::none();
  for (int i = 0; i < arrays.n_inputs; ++i)
    out.inputs[name_of(arrays.inputs[i].quantity)] = array(arrays.inputs[i], cells.n);
  out.outputs = py::tuple(arrays.n_outputs);
  for (int i = 0; i < arrays.n_outputs; ++i)
    out.outputs[i] = py::make_tuple(name_of(arrays.outputs[i].quantity), array(arrays.outputs[i], cells.n));
  return out;
}

CallViews Views::of(Cells cells, const Arrays& arrays) {
  std::string key;
  bool here = true;
  add(key, &cells, sizeof cells);
  add(key, &arrays.n_inputs, sizeof arrays.n_inputs);
  for (int i = 0; i < arrays.n_inputs; ++i) here &= arrays.inputs[i].device == MLD_HOST;
  for (int i = 0; i < arrays.n_outputs; ++i) here &= arrays.outputs[i].device == MLD_HOST;
  if (!here) return make(cells, arrays);
  if (arrays.n_inputs) add(key, arrays.inputs, arrays.n_inputs * sizeof *arrays.inputs);
  if (arrays.n_outputs) add(key, arrays.outputs, arrays.n_outputs * sizeof *arrays.outputs);
  const auto found = kept_.find(key);
  if (found != kept_.end()) return found->second;
  if (kept_.size() == kKept) kept_.clear();
  return kept_.emplace(std::move(key), make(cells, arrays)).first->second;
}

}  // namespace mld_core

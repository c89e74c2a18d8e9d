// The host's arrays as Python sees them: numpy views of host memory, DLPack capsules of the rest; nothing
// copied.
#ifndef MLD_CLOSURE_VIEWS_HPP
#define MLD_CLOSURE_VIEWS_HPP

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <unordered_map>

#include "backend.hpp"

namespace mld_core {

namespace py = pybind11;

// Arguments of one call to advance: ids or None, {name: array}, ((name, array), ...).
struct CallViews {
  py::object ids;
  py::dict inputs;
  py::tuple outputs;
};

// A view of n numbers `stride` bytes apart (0: packed), or of a packed block of any shape. `owner` keeps
// nothing alive: the memory is the host's.
template <class T>
py::array view(const T* data, std::int64_t n, std::int64_t stride = 0) {
  static T nothing{};
  const T* start = data ? data : &nothing;
  return py::array_t<T>({n}, {stride ? stride : static_cast<std::int64_t>(sizeof(T))}, start,
                        py::capsule(start, [](void*) {}));
}

template <class T>
py::array block(const T* data, std::vector<std::int64_t> shape) {
  static T nothing{};
  const T* start = data ? data : &nothing;
  return py::array_t<T>(shape, start, py::capsule(start, [](void*) {}));
}

// Makes views, and keeps those of calls that come again with the same arrays: a lookup instead of 6 us.
class Views {
 public:
  Views(py::object borrowed, std::int64_t id_bits) : borrowed_(std::move(borrowed)), bits_(id_bits) {}
  CallViews of(Cells cells, const Arrays& arrays);
  py::array ids(Cells cells) const;

 private:
  CallViews make(Cells cells, const Arrays& arrays) const;
  template <class Array>
  py::object array(const Array& a, std::int64_t n) const;
  template <class Array>
  py::object unscaled(const Array& a, std::int64_t n) const;

  py::object borrowed_;  // bridge.Borrowed: an object that hands out a DLPack capsule
  std::int64_t bits_;    // of an id
  std::unordered_map<std::string, CallViews> kept_;
};

}  // namespace mld_core

#endif

#include "arguments.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace mld_core {
namespace {

constexpr std::int64_t kMostNumbers = std::int64_t{1} << 48;  // no memory holds more

}  // namespace

int refuse(Failure& why, std::string message) {
  why = {MLD_E_ARGUMENT, std::move(message), {}, true};
  return why.error;
}

int check_size(const char* what, std::int64_t n, std::int64_t ny, std::int64_t nx, Failure& why) {
  const std::int64_t rows = ny > 0 ? kMostNumbers / ny : 0;
  if (ny > 0 && nx > 0 && (n <= 0 || (nx <= rows && n <= rows / nx))) return MLD_OK;
  return refuse(why, std::string(what) + " of " + std::to_string(ny) + " x " + std::to_string(nx));
}

int check_cells(std::int64_t n, const std::int64_t* ids, bool all_allowed, Failure& why) {
  if (n < 0 || n > kMostNumbers) return refuse(why, "the number of cells is " + std::to_string(n));
  if (!ids && n > 0 && !all_allowed) return refuse(why, "ids is NULL for " + std::to_string(n) + " cells");
  return MLD_OK;
}

namespace {

template <class Array>
int check_arrays(const Array* arrays, std::int32_t count, std::int64_t n, int first, int end,
                 const char* what, Failure& why) {
  if (count < 0 || (count > 0 && !arrays))
    return refuse(why, std::string(what) + " is NULL or their number negative");
  unsigned seen = 0;
  for (int i = 0; i < count; ++i) {
    const auto& a = arrays[i];
    const std::string place = std::string(what) + " " + std::to_string(i);
    if (a.quantity < first || a.quantity >= end)
      return refuse(why, place + " has the unknown quantity " + std::to_string(a.quantity));
    if (!a.data && n > 0) return refuse(why, place + " is NULL");
    if (a.device != MLD_HOST && a.device != MLD_HOST_DLPACK && a.device != MLD_CUDA && a.device != MLD_ROCM)
      return refuse(why, place + " lies on the unknown device " + std::to_string(a.device));
    if (a.device != MLD_HOST && a.stride % 8 != 0)
      return refuse(why, place + ": a stride on a device must be a multiple of 8 bytes");
    const std::int64_t bytes = a.stride;
    if (bytes != 0 && std::abs(bytes) < 8)
      return refuse(why,
                    place + " has a stride of " + std::to_string(a.stride) + " bytes, less than one number");
    if (!(a.scale >= 0) || a.scale > 1e300 || (a.scale != 0 && a.quantity == MLD_STATUS))
      return refuse(why, place + " has the scale " + std::to_string(a.scale) +
                             "; give the host's unit in SI, 0 for SI, and none for the status");
    if (seen & 1u << (a.quantity - first)) return refuse(why, place + " repeats a quantity");
    seen |= 1u << (a.quantity - first);
  }
  return MLD_OK;
}

// Outputs up to the quantity `last`.
int check_outputs(Cells cells, const Arrays& arrays, int last, Failure& why) {
  return check_arrays(arrays.outputs, arrays.n_outputs, cells.n, MLD_BURNED_FRACTION, last + 1, "output", why);
}

}  // namespace

int check_read(Cells cells, const Arrays& arrays, Failure& why) {
  if (int e = check_cells(cells.n, cells.ids, true, why)) return e;
  return check_outputs(cells, arrays, MLD_BURNED_MASS, why);
}

int check_call(Cells cells, const Arrays& arrays, Failure& why) {
  if (int e = check_cells(cells.n, cells.ids, true, why)) return e;
  if (int e =
          check_arrays(arrays.inputs, arrays.n_inputs, cells.n, MLD_PRESSURE, MLD_ENTROPY + 1, "input", why))
    return e;
  if (int e = check_outputs(cells, arrays, MLD_HEAT_INCREMENT, why)) return e;
  for (int i = 0; i < arrays.n_inputs; ++i)
    if (arrays.inputs[i].quantity == MLD_PRESSURE) return MLD_OK;
  return refuse(why, "no pressure among the inputs");
}

namespace {

// Takes a struct whose first member is its size from a host compiled with any version of the header. least:
// bytes that every version has; start: what it is to start from.
template <class Struct>
bool take(const Struct* given, std::size_t least, const char* what, const char* start, Struct& taken,
          std::string& why) {
  constexpr std::size_t kMost = 4096;  // beyond it the size itself is nonsense
  const std::size_t size = given->size;
  const std::string sizes = std::string(what) + " of " + std::to_string(size) +
                            " bytes, where this library knows " + std::to_string(sizeof taken);
  if (size < least || size > kMost || size % alignof(Struct)) {
    why = sizes + "; start from " + start;
    return false;
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > sizeof taken &&
      std::any_of(bytes + sizeof taken, bytes + size, [](unsigned char byte) { return byte != 0; })) {
    why = sizes + ": an option is set that this library is too old to know; leave it out, or use the "
                  "library of the header that the host was compiled with";
    return false;
  }
  std::memcpy(&taken, given, std::min(size, sizeof taken));
  taken.size = sizeof taken;
  return true;
}

}  // namespace

bool take_options(const mld_options* given, mld_options& options, std::string& why) {
  constexpr std::size_t kLeast = offsetof(mld_options, settings);  // up to the bundle
  if (!take(given, kLeast, "options", "MLD_OPTIONS_INIT", options, why)) return false;
  if (options.id_bits == 0) options.id_bits = 64;
  if (options.id_bits == 32 || options.id_bits == 64) return true;
  why = "ids of " + std::to_string(options.id_bits) + " bits; they have 32 or 64";
  return false;
}

int take_registration(const mld_registration* given, mld_registration& r, Failure& why) {
  constexpr std::size_t kLeast = offsetof(mld_registration, parts);  // all of the first version but the parts
  if (!given) return refuse(why, "the registration is NULL");
  std::string reason;
  if (!take(given, kLeast, "a registration", "MLD_REGISTRATION_INIT", r, reason)) return refuse(why, reason);
  if (int e = check_cells(r.n, r.ids, false, why)) return e;
  const int ways = !!r.patches + !!r.image + !!r.path;
  if (ways > 1 || (ways == 0 && r.n > 0)) return refuse(why, "give one of patches, image and path");
  if (r.patches) return check_size("patches", r.n, r.ny, r.nx, why);
  if (r.image)
    if (int e = check_size("an image", 1, r.ny, r.nx, why)) return e;
  if (ways && !r.offsets && r.n > 0) return refuse(why, "offsets is NULL");
  return MLD_OK;
}

}  // namespace mld_core

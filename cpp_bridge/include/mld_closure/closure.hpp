// mld_closure for C++11 and later: closure.h with a class that closes itself, spans, and exceptions.
//
//     mld::Options options("model/bundle");
//     options.settings = "device = 'cpu'\nengine.patch_shape = [320, 480]\n";
//     mld::Closure closure(options);
//     closure.register_patches(ids, ny, nx, patches);
//     closure.begin_step(t, dt);
//     closure.advance(ids, {{mld::Quantity::pressure, p}}, {{mld::Quantity::burned_fraction, F}});
//     closure.commit();
//
// What the functions do, need and leave behind stands in closure.h. Arrays are anything with data() and
// size().
#ifndef MLD_CLOSURE_CLOSURE_HPP
#define MLD_CLOSURE_CLOSURE_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "mld_closure/closure.h"

namespace mld {

// What went wrong: the sentence, the mld_error, and the cells concerned.
class Error : public std::runtime_error {
 public:
  Error(int code, const char* message, std::vector<std::int64_t> cells)
      : std::runtime_error(message), code_(code), cells_(std::move(cells)) {}
  int code() const noexcept { return code_; }
  bool recoverable() const noexcept { return mld_recoverable(code_) != 0; }
  const std::vector<std::int64_t>& cells() const noexcept { return cells_; }

 private:
  int code_;
  std::vector<std::int64_t> cells_;
};

// Throws what the last call of this thread left behind, if it failed.
inline void check(int code) {
  if (code == MLD_OK) return;
  const std::int64_t* ids = nullptr;
  const std::int64_t n = mld_message_cells(&ids);
  throw Error(code, mld_message(), std::vector<std::int64_t>(ids, ids + n));
}

// Numbers of the host: a pointer, how many, and bytes from one to the next (0: packed).
template <class T>
class Span {
 public:
  Span() noexcept : data_(nullptr), size_(0), stride_(0) {}
  Span(T* data, std::size_t size, std::ptrdiff_t stride = 0) noexcept
      : data_(data), size_(size), stride_(stride) {}
  template <class Array, class = typename std::enable_if<
                             std::is_convertible<decltype(std::declval<Array&>().data()), T*>::value>::type>
  Span(Array& array) noexcept : data_(array.data()), size_(array.size()), stride_(0) {}
  T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::ptrdiff_t stride() const noexcept { return stride_; }

 private:
  T* data_;
  std::size_t size_;
  std::ptrdiff_t stride_;
};

enum class Quantity : std::int32_t {
  pressure = MLD_PRESSURE,
  velocity = MLD_VELOCITY,
  mass = MLD_MASS,
  entropy = MLD_ENTROPY,
  burned_fraction = MLD_BURNED_FRACTION,
  burn_rate = MLD_BURN_RATE,
  hotspot_area_fraction = MLD_HOTSPOT_AREA_FRACTION,
  hotspot_area_rate = MLD_HOTSPOT_AREA_RATE,
  hotspot_temperature = MLD_HOTSPOT_TEMPERATURE,
  hotspot_temperature_rate = MLD_HOTSPOT_TEMPERATURE_RATE,
  mean_temperature = MLD_MEAN_TEMPERATURE,
  mean_pressure = MLD_MEAN_PRESSURE,
  porosity = MLD_POROSITY,
  uncertainty = MLD_UNCERTAINTY,
  status = MLD_STATUS,
  burned_increment = MLD_BURNED_INCREMENT,
  heat_increment = MLD_HEAT_INCREMENT,
  burned_mass = MLD_BURNED_MASS,
};

// Memory on a device, in DLPack's numbers.
struct Device {
  std::int32_t type;
  std::int64_t index;
};

struct Input {
  Input(Quantity quantity, Span<const double> array, Device device = {MLD_HOST, 0}, double scale = 0.0)
      : size(array.size()),
        raw{static_cast<std::int32_t>(quantity), device.type, array.data(), array.stride(), device.index, scale} {
  }
  // In the host's unit: scale is that unit in SI, such as 1e9 for GPa.
  Input(Quantity quantity, Span<const double> array, double scale)
      : Input(quantity, array, Device{MLD_HOST, 0}, scale) {}
  std::size_t size;
  mld_input raw;
};

struct Output {
  Output(Quantity quantity, Span<double> array, Device device = {MLD_HOST, 0}, double scale = 0.0)
      : size(array.size()),
        raw{static_cast<std::int32_t>(quantity), device.type, array.data(), array.stride(), device.index, scale} {
    if (quantity == Quantity::status) throw Error(MLD_E_ARGUMENT, "the status is int64_t, not double", {});
  }
  Output(Quantity quantity, Span<std::int64_t> array, Device device = {MLD_HOST, 0})
      : size(array.size()),
        raw{static_cast<std::int32_t>(quantity), device.type, array.data(), array.stride(), device.index, 0.0} {
    if (quantity != Quantity::status) throw Error(MLD_E_ARGUMENT, "only the status is int64_t", {});
  }
  Output(Quantity quantity, Span<double> array, double scale)
      : Output(quantity, array, Device{MLD_HOST, 0}, scale) {}
  std::size_t size;
  mld_output raw;
};

struct Options {
  explicit Options(std::string bundle_ = "", std::string settings_ = "")
      : bundle(std::move(bundle_)), settings(std::move(settings_)) {}
  std::string bundle;
  std::string settings;
  bool has_comm = false;
  std::int32_t comm = 0;  // MPI_Comm_c2f
  mld_fallback fallback = nullptr;
  void* fallback_data = nullptr;
  std::int64_t id_bits = 64;  // 32 for a host whose lists of ids are int32_t
};

// Ids of a call: a list of int64_t, or of int32_t for a closure that was opened with id_bits = 32.
class Ids {
 public:
  Ids() noexcept : data_(nullptr), size_(0), bits_(0) {}
  Ids(const std::int64_t* data, std::size_t size) noexcept : data_(data), size_(size), bits_(64) {}
  Ids(const std::int32_t* data, std::size_t size) noexcept : data_(MLD_IDS(data)), size_(size), bits_(32) {}
  template <class Array,
            class = typename std::enable_if<std::is_integral<
                typename std::remove_pointer<decltype(std::declval<Array&>().data())>::type>::value>::type>
  Ids(const Array& array) noexcept : Ids(array.data(), array.size()) {}
  const std::int64_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  int bits() const noexcept { return bits_; }

 private:
  const std::int64_t* data_;
  std::size_t size_;
  int bits_;
};

// An open closure; moves, does not copy, closes itself.
class Closure {
 public:
  using Ids = mld::Ids;

  Closure() noexcept : handle_(nullptr), bits_(64) {}
  explicit Closure(const Options& options)
      : handle_(nullptr), bits_(static_cast<int>(options.id_bits)) {
    if (mld_abi() != MLD_ABI)
      throw Error(MLD_E_ARGUMENT, "closure.h and the library are of different versions", {});
    mld_options raw = MLD_OPTIONS_INIT;
    raw.bundle = options.bundle.c_str();
    raw.settings = options.settings.c_str();
    raw.has_comm = options.has_comm;
    raw.comm = options.comm;
    raw.fallback = options.fallback;
    raw.fallback_data = options.fallback_data;
    raw.id_bits = options.id_bits;
    check(mld_open(&raw, &handle_));
  }
  Closure(Closure&& other) noexcept : handle_(other.handle_), bits_(other.bits_) { other.handle_ = nullptr; }
  Closure& operator=(Closure&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(bits_, other.bits_);
    return *this;
  }
  Closure(const Closure&) = delete;
  Closure& operator=(const Closure&) = delete;
  ~Closure() { mld_close(&handle_); }

  // parts: column part of its patch that each cell is a point of; none for whole patches.
  void register_patches(Ids ids, std::int64_t ny, std::int64_t nx, Span<const float> patches,
                        double pixel = 0.0, std::int32_t ownership = MLD_COPY,
                        Span<const std::int32_t> parts = {}) {
    same("patches", patches.size(), ids.size() * static_cast<std::size_t>(ny * nx));
    if (!parts.data())
      return check(
          mld_register_patches(handle_, count(ids), list(ids), ny, nx, patches.data(), pixel, ownership));
    mld_registration r = points(ids, parts, pixel, ownership);
    r.ny = ny;
    r.nx = nx;
    r.patches = patches.data();
    check(mld_register(handle_, &r));
  }
  void register_image(Ids ids, std::int64_t ny, std::int64_t nx, Span<const float> image, double pixel,
                      Span<const double> offsets, std::int32_t ownership = MLD_COPY,
                      Span<const std::int32_t> parts = {}) {
    same("image", image.size(), static_cast<std::size_t>(ny * nx));
    same("offsets", offsets.size(), 2 * ids.size());
    if (!parts.data())
      return check(mld_register_image(handle_, count(ids), list(ids), ny, nx, image.data(), pixel,
                                      offsets.data(), ownership));
    mld_registration r = points(ids, parts, pixel, ownership);
    r.ny = ny;
    r.nx = nx;
    r.image = image.data();
    r.offsets = offsets.data();
    check(mld_register(handle_, &r));
  }
  void register_file(Ids ids, const std::string& path, Span<const double> offsets, double pixel = 0.0,
                     const std::string& dataset = "", Span<const std::int32_t> parts = {}) {
    same("offsets", offsets.size(), 2 * ids.size());
    const char* name = dataset.empty() ? nullptr : dataset.c_str();
    if (!parts.data())
      return check(
          mld_register_file(handle_, count(ids), list(ids), path.c_str(), name, pixel, offsets.data()));
    mld_registration r = points(ids, parts, pixel, MLD_COPY);
    r.path = path.c_str();
    r.dataset = name;
    r.offsets = offsets.data();
    check(mld_register(handle_, &r));
  }
  void unregister(Ids ids) { check(mld_unregister(handle_, count(ids), list(ids))); }
  void migrate(Ids ids, Span<const std::int32_t> new_owner) {
    same("new_owner", new_owner.size(), ids.size());
    check(mld_migrate(handle_, count(ids), list(ids), new_owner.data()));
  }

  void begin_step(double t, double dt) { check(mld_begin_step(handle_, t, dt)); }
  void commit() { check(mld_commit(handle_)); }
  void rollback() { check(mld_rollback(handle_)); }

  void advance(Ids ids, std::initializer_list<Input> inputs, std::initializer_list<Output> outputs) {
    call(mld_advance, ids, inputs, outputs);
  }
  void submit(Ids ids, std::initializer_list<Input> inputs, std::initializer_list<Output> outputs) {
    call(mld_submit, ids, inputs, outputs);
  }
  void wait() { check(mld_wait(handle_)); }

  // The committed state of cells, as after a restart. Not collective.
  void read(Ids ids, std::initializer_list<Output> outputs) const {
    std::vector<mld_output> out;
    for (const Output& o : outputs) {
      same("an output", o.size, ids.size());
      out.push_back(o.raw);
    }
    check(mld_read(handle_, count(ids), list(ids), out.data(), static_cast<std::int32_t>(out.size())));
  }

  // These are not collective. dt_max is the same on every rank; a counter is of this rank alone.
  double dt_max() const {
    double dt;
    check(mld_dt_max(handle_, &dt));
    return dt;
  }
  double counter(const std::string& name) const {
    double value;
    check(mld_counter(handle_, name.c_str(), &value));
    return value;
  }
  double fact(const std::string& name) const {
    double value;
    check(mld_fact(handle_, name.c_str(), &value));
    return value;
  }
  // Of all ranks; collective.
  double counter_sum(const std::string& name) {
    double value;
    check(mld_counter_sum(handle_, name.c_str(), &value));
    return value;
  }
  void save(const std::string& path) { check(mld_save(handle_, path.c_str())); }
  void restore(const std::string& path) { check(mld_restore(handle_, path.c_str())); }

  // Closes now, and says what goes wrong; the destructor keeps silent.
  void close() { check(mld_close(&handle_)); }

  // The handle of the C interface, still owned by this object.
  mld_closure* get() const noexcept { return handle_; }

 private:
  using Function = int (*)(mld_closure*, std::int64_t, const std::int64_t*, const mld_input*, std::int32_t,
                           const mld_output*, std::int32_t);

  const std::int64_t* list(Ids ids) const {
    if (ids.size() && ids.bits() != bits_)
      throw Error(MLD_E_ARGUMENT, "ids of another size than the closure was opened with (Options::id_bits)", {});
    return ids.data();
  }
  static std::int64_t count(Ids ids) { return static_cast<std::int64_t>(ids.size()); }
  static void same(const std::string& what, std::size_t size, std::size_t wanted) {
    if (size == wanted) return;
    const std::string message =
        what + " has " + std::to_string(size) + " numbers, the call needs " + std::to_string(wanted);
    throw Error(MLD_E_ARGUMENT, message.c_str(), {});
  }
  mld_registration points(Ids ids, Span<const std::int32_t> parts, double pixel,
                          std::int32_t ownership) const {
    same("parts", parts.size(), ids.size());
    mld_registration r = MLD_REGISTRATION_INIT;
    r.n = count(ids);
    r.ids = list(ids);
    r.parts = parts.data();
    r.pixel = pixel;
    r.ownership = ownership;
    return r;
  }
  void call(Function function, Ids ids, std::initializer_list<Input> inputs,
            std::initializer_list<Output> outputs) {
    mld_input in[4];
    mld_output out[13];
    std::int32_t n_in = 0, n_out = 0;
    if (inputs.size() > 4 || outputs.size() > 13)
      throw Error(MLD_E_ARGUMENT, "a quantity is given twice", {});
    for (const Input& i : inputs) {
      same("an input", i.size, ids.size());
      in[n_in++] = i.raw;
    }
    for (const Output& o : outputs) {
      same("an output", o.size, ids.size());
      out[n_out++] = o.raw;
    }
    check(function(handle_, count(ids), list(ids), in, n_in, out, n_out));
  }

  mld_closure* handle_;
  int bits_;
};

}  // namespace mld

#endif

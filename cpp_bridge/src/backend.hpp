// What the core asks of a backend: one session per open closure. Nothing here throws across the library
// boundary.
#ifndef MLD_CLOSURE_BACKEND_HPP
#define MLD_CLOSURE_BACKEND_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "mld_closure/closure.h"

namespace mld_core {

// Why a call failed: mld_error, sentence, cells concerned; refused: before it reached the backend.
struct Failure {
  int error = MLD_OK;
  std::string message;
  std::vector<std::int64_t> cells;
  bool refused = false;
};

// Cells of a call: ids == nullptr means all registered ones. ids point to numbers of as many bits as the options
// of the session say.
struct Cells {
  std::int64_t n;
  const std::int64_t* ids;
};

// Patches (n, ny, nx), or an image (ny, nx) with offsets (n, 2); ownership as in the header; column parts
// (n,) or nullptr.
struct Material {
  std::int64_t ny, nx;
  const float* data;
  double pixel;
  const double* offsets;
  bool copy;
  const std::int32_t* parts = nullptr;
};

struct Arrays {
  const mld_input* inputs;
  int n_inputs;
  const mld_output* outputs;
  int n_outputs;
};

// One open closure. Every call returns an mld_error and fills `why` where it is not MLD_OK.
class Session {
 public:
  virtual ~Session() = default;
  virtual int register_patches(Cells, const Material&, Failure& why) noexcept = 0;
  virtual int register_image(Cells, const Material&, Failure& why) noexcept = 0;
  virtual int register_file(Cells, const char* path, const char* dataset, double pixel, const double* offsets,
                            const std::int32_t* parts, Failure& why) noexcept = 0;
  virtual int unregister(Cells, Failure& why) noexcept = 0;
  virtual int migrate(Cells, const std::int32_t* new_owner, Failure& why) noexcept = 0;
  virtual int begin_step(double t, double dt, Failure& why) noexcept = 0;
  virtual int advance(Cells, const Arrays&, bool later, Failure& why) noexcept = 0;
  virtual int wait(Failure& why) noexcept = 0;
  virtual int commit(Failure& why) noexcept = 0;
  virtual int rollback(Failure& why) noexcept = 0;
  virtual int dt_max(double& dt, Failure& why) noexcept = 0;
  virtual int counter(const char* name, double& value, Failure& why) noexcept = 0;
  virtual int counter_sum(const char* name, double& value, Failure& why) noexcept = 0;
  virtual int fact(const char* name, double& value, Failure& why) noexcept = 0;
  virtual int read(Cells, const Arrays&, Failure& why) noexcept = 0;
  virtual int save(const char* path, Failure& why) noexcept = 0;
  virtual int restore(const char* path, Failure& why) noexcept = 0;
  virtual int close(Failure& why) noexcept = 0;

  // Takes this rank's place in a collective call that was refused on it, so that all ranks fail alike.
  virtual void refuse(const char* call, Failure& why) noexcept = 0;
};

// Where the program's Python is, as the core found it; both empty where the program runs Python already.
struct Home {
  std::string python;  // path of the executable
  std::string site;    // folder that holds the package
};

// The one function a backend exports. Starts the backend on its first call.
using OpenSession = Session* (*)(const Home&, const mld_options&, Failure& why) noexcept;

}  // namespace mld_core

#endif

// Starts Python inside a program that knows nothing of it. Why it is never ended: a second start after an end
// crashes extension modules, and every order of exits was found clean without an end.
#include "interpreter.hpp"

#include <Python.h>
#include <link.h>

#include <cstring>
#include <mutex>

namespace mld_core {
namespace {

int keep_libmpi(dl_phdr_info* info, size_t, void* found) {
  const char* name = info->dlpi_name ? std::strrchr(info->dlpi_name, '/') : nullptr;
  if (name && (!std::strncmp(name, "/libmpi.so", 10) || !std::strncmp(name, "/libmpich.so", 12))) {
    *static_cast<std::string*>(found) = info->dlpi_name;
    return 1;
  }
  return 0;
}

PyStatus start(const std::string& python) {
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.install_signal_handlers = 0;
  config.parse_argv = 0;
  config.buffered_stdio = 0;
  config.user_site_directory = 0;
  config.use_environment = 0;  // PYTHONHOME and PYTHONPATH of a cluster's modules belong to other Pythons
  PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, python.c_str());
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  return status;
}

}  // namespace

bool start_python(const Home& home, bool& started, Failure& why) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  started = !Py_IsInitialized();
  if (!started) return true;
  const PyStatus status = start(home.python);
  if (PyStatus_Exception(status)) {
    why = {MLD_E_PYTHON,
           "Python at " + home.python +
               " does not start: " + (status.err_msg ? status.err_msg : "no reason given"),
           {},
           false};
    return false;
  }
  PyEval_SaveThread();
  return true;
}

std::string loaded_mpi() {
  std::string path;
  dl_iterate_phdr(keep_libmpi, &path);
  return path;
}

}  // namespace mld_core

// Finds Python from where the library lies: package/lib -> the folder above it that holds bin/python3.x. The
// build tree, which lies under no Python, has a file `python` beside the library that names one.
#include "home.hpp"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <vector>

namespace mld_core {
namespace {

const char* const kExecutable = "/bin/python" MLD_PYTHON_VERSION;
const char* const kLibrary = "libpython" MLD_PYTHON_VERSION ".so";

bool exists(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode);
}

std::string real(const std::string& path) {
  char buffer[PATH_MAX];
  return realpath(path.c_str(), buffer) ? std::string(buffer) : path;
}

std::string parent(const std::string& path) {
  const auto slash = path.find_last_of('/');
  return slash == std::string::npos || slash == 0 ? "" : path.substr(0, slash);
}

int keep_libpython(dl_phdr_info* info, size_t, void* found) {
  if (info->dlpi_name && std::strstr(info->dlpi_name, "/libpython3.")) {
    *static_cast<std::string*>(found) = info->dlpi_name;
    return 1;
  }
  return 0;
}

// Python that the program has loaded, its symbols made global where a plugin loaded them for itself.
bool loaded_already() {
  if (dlsym(RTLD_DEFAULT, "Py_IsInitialized")) return true;
  std::string path;
  dl_iterate_phdr(keep_libpython, &path);
  return !path.empty() && dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

bool running_already() {
  auto initialized = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "Py_IsInitialized"));
  return initialized && initialized();
}

bool right_version(Failure& why) {
  auto version = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "Py_GetVersion"));
  const std::string wanted = MLD_PYTHON_VERSION ".";
  if (version && std::strncmp(version(), wanted.c_str(), wanted.size()) == 0) return true;
  why = {MLD_E_PYTHON,
         "this program runs Python " + std::string(version ? version() : "of an unknown version") +
             ", but the closure library was built for Python " MLD_PYTHON_VERSION
             "; install mld_closure into the program's Python",
         {},
         false};
  return false;
}

bool find_executable(Home& home, Failure& why) {
  const std::string lib = own_folder();
  home.site = parent(parent(lib));
  if (const char* given = getenv("MLD_CLOSURE_PYTHON")) {
    home.python = given;
    if (exists(home.python)) return true;
    why = {MLD_E_PYTHON, "MLD_CLOSURE_PYTHON names '" + home.python + "', which is no file", {}, false};
    return false;
  }
  std::ifstream named(lib + "/python");
  if (named && std::getline(named, home.python)) {
    if (exists(home.python)) return true;
    why = {
        MLD_E_PYTHON,
        lib + "/python names '" + home.python + "', which is no file; build again or set MLD_CLOSURE_PYTHON",
        {},
        false};
    return false;
  }
  for (std::string above = parent(lib);; above = parent(above)) {
    home.python = above + kExecutable;
    if (exists(home.python)) return true;
    if (above.empty()) break;
  }
  why = {MLD_E_PYTHON,
         "no Python: none of the folders above " + lib + " holds " + (kExecutable + 1) +
             "; do not move the library out of its Python, or set MLD_CLOSURE_PYTHON to the executable",
         {},
         false};
  return false;
}

bool load_library(const Home& home, Failure& why) {
  std::vector<std::string> places;
  if (const char* given = getenv("MLD_CLOSURE_LIBPYTHON")) {
    places = {given};
  } else {
    const std::string base = parent(parent(real(home.python)));
    for (const char* folder : {"/lib/", "/lib64/", "/lib/" MLD_MULTIARCH "/"})
      for (const char* ending : {".1.0", ""}) places.push_back(base + folder + kLibrary + ending);
    for (const char* ending : {".1.0", ""}) places.push_back(std::string(kLibrary) + ending);
  }
  for (const auto& place : places)
    if (dlopen(place.c_str(), RTLD_NOW | RTLD_GLOBAL)) return true;
  why = {MLD_E_PYTHON,
         "no shared library of Python for " + home.python + " (looked for " + places.front() +
             " and others); install it (Debian: libpython" MLD_PYTHON_VERSION
             ") or set MLD_CLOSURE_LIBPYTHON to its path",
         {},
         false};
  return false;
}

}  // namespace

std::string own_folder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname) return "";
  return parent(real(info.dli_fname));
}

bool provide_python(Home& home, Failure& why) {
  if (loaded_already()) {
    if (!right_version(why)) return false;
    if (running_already()) {
      home.site = parent(parent(own_folder()));
      return true;
    }
    return find_executable(home, why);
  }
  return find_executable(home, why) && load_library(home, why) && right_version(why);
}

}  // namespace mld_core

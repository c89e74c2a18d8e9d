// Finds Python from where the library lies: PREFIX/lib/python3.x/site-packages/mld_closure/lib belongs to
// PREFIX/bin/python3.x, and to no other Python. The build tree, which lies under no Python, has a file `python`
// beside the library that names one. No search goes by a bare name or further up, so that nobody can put a Python
// in the way, and an executable or a folder that others may write to is refused.
#include "home.hpp"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

// A variable of the environment; none in a program that runs with more rights than who started it.
const char* variable(const char* name) {
#if defined(__GLIBC__)
  return secure_getenv(name);
#else
  return geteuid() == getuid() && getegid() == getgid() ? getenv(name) : nullptr;
#endif
}

std::string real(const std::string& path) {
  char buffer[PATH_MAX];
  return realpath(path.c_str(), buffer) ? std::string(buffer) : path;
}

std::string parent(const std::string& path) {
  const auto slash = path.find_last_of('/');
  return slash == std::string::npos || slash == 0 ? "" : path.substr(0, slash);
}

// Whether only root, this user or the owner of the library can change a file and the folder that holds it.
bool ours_alone(const std::string& path, const std::string& library_folder) {
  struct stat library, facts;
  if (stat(library_folder.c_str(), &library) != 0) return false;
  for (const std::string& one : {path, parent(path)}) {
    if (stat(one.c_str(), &facts) != 0 || (facts.st_mode & S_IWOTH)) return false;
    if (facts.st_uid != 0 && facts.st_uid != geteuid() && facts.st_uid != library.st_uid) return false;
  }
  return true;
}

// PREFIX of PREFIX/lib/python3.x/site-packages/mld_closure/lib, also with lib64 and dist-packages; "" for another
// place.
bool prefix_of(const std::string& lib, std::string& prefix) {
  const auto name = [](const std::string& path) { return path.substr(path.find_last_of('/') + 1); };
  const std::string packages = parent(parent(lib)), version = parent(packages), libs = parent(version);
  if (name(packages) != "site-packages" && name(packages) != "dist-packages") return false;
  if (name(version) != "python" MLD_PYTHON_VERSION || (name(libs) != "lib" && name(libs) != "lib64")) return false;
  prefix = parent(libs);
  return true;
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
  if (const char* given = variable("MLD_CLOSURE_PYTHON")) {
    home.python = given;
    if (exists(home.python)) return true;
    why = {MLD_E_PYTHON, "MLD_CLOSURE_PYTHON names '" + home.python + "', which is no file", {}, false};
    return false;
  }
  const char* cure = "; do not move the library out of its Python, or set MLD_CLOSURE_PYTHON to the executable";
  std::ifstream named(lib + "/python");
  std::string prefix;
  if (named && std::getline(named, home.python)) {
    cure = "; build again or set MLD_CLOSURE_PYTHON";
    if (!exists(home.python)) {
      why = {MLD_E_PYTHON, lib + "/python names '" + home.python + "', which is no file" + cure, {}, false};
      return false;
    }
  } else if (!prefix_of(lib, prefix)) {
    why = {MLD_E_PYTHON,
           "no Python: " + lib + " does not lie in lib/python" MLD_PYTHON_VERSION
                                 "/site-packages/mld_closure of one" + cure,
           {},
           false};
    return false;
  } else {
    home.python = prefix + kExecutable;
    if (!exists(home.python)) {
      why = {MLD_E_PYTHON, "no Python: " + home.python + ", to which " + lib + " belongs, is no file" + cure, {}, false};
      return false;
    }
  }
  if (ours_alone(home.python, lib)) return true;
  why = {MLD_E_PYTHON,
         "Python at " + home.python + " can be changed by other users, as it or its folder belongs to one or is "
         "open to all; take that right away, or set MLD_CLOSURE_PYTHON to the executable you trust",
         {},
         false};
  return false;
}

bool load_library(const Home& home, Failure& why) {
  std::vector<std::string> places;
  if (const char* given = variable("MLD_CLOSURE_LIBPYTHON")) {
    places = {given};
  } else {
    const std::string base = parent(parent(real(home.python)));
    for (const char* folder : {"/lib/", "/lib64/", "/lib/" MLD_MULTIARCH "/"})
      for (const char* ending : {".1.0", ""}) places.push_back(base + folder + kLibrary + ending);
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

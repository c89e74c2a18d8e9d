// Finds Python from where the library lies: PREFIX/lib/python3.x/site-packages/mld_closure/lib belongs to
// PREFIX/bin/python3.x, or where that is not there, as after `pip install --user`, to the Python that
// PREFIX/bin/mld-closure-config runs in. The build tree, which lies under no Python, has a file `python` beside the
// library that names one. No search goes by a bare name or further up, so that nobody can put a Python in the way.
//
// Why the rule of who may change it is about the library: who can put another library in its place needs no Python.
// So Python is refused only where more people can change it than the library.
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
const char* const kScript = "/bin/mld-closure-config";
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

bool open_to_all(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) != 0 || (facts.st_mode & S_IWOTH);
}

// Whether everyone may move what a folder holds; where its sticky bit is set, as in /tmp, only owners may.
bool movable_by_all(const std::string& folder) {
  struct stat facts;
  return stat(folder.c_str(), &facts) == 0 && (facts.st_mode & S_IWOTH) && !(facts.st_mode & S_ISVTX);
}

// Folders from the library's own up to PREFIX, or the first alone where there is no PREFIX ("").
std::vector<std::string> folders_of(const std::string& lib, const std::string& prefix) {
  std::vector<std::string> found{lib};
  while (!prefix.empty() && found.back() != prefix) found.push_back(parent(found.back()));
  return found;
}

// Whether everyone may change a file, or put another in its folder, but not the library.
bool too_open(const std::string& file, const std::string& lib, const std::string& prefix) {
  for (const auto& folder : folders_of(lib, prefix))
    if (movable_by_all(folder)) return false;
  return open_to_all(file) || open_to_all(parent(file));
}

// Whether the folder of a file in PREFIX/bin belongs to root, this user, or who owns a folder of the library.
bool known_owner(const std::string& file, const std::string& lib, const std::string& prefix) {
  struct stat bin, one;
  if (stat(parent(file).c_str(), &bin) != 0) return false;
  if (bin.st_uid == 0 || bin.st_uid == geteuid()) return true;
  for (const auto& folder : folders_of(lib, prefix))
    if (stat(folder.c_str(), &one) == 0 && one.st_uid == bin.st_uid) return true;
  return false;
}

// The Python that a script which pip wrote runs in: "#!PYTHON", or for a long path "#!/bin/sh" and "'''exec' PYTHON".
std::string python_of_script(const std::string& path) {
  std::ifstream script(path);
  std::string line;
  if (!std::getline(script, line) || line.compare(0, 2, "#!") != 0) return "";
  line.erase(0, 2);
  const std::string shell = "'''exec' ";
  if (line == "/bin/sh") {
    if (!std::getline(script, line) || line.compare(0, shell.size(), shell) != 0) return "";
    const auto end = line.find(" \"$0\"");
    line = end == std::string::npos ? "" : line.substr(shell.size(), end - shell.size());
    if (line.size() > 1 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
  }
  return !line.empty() && line.front() == '/' ? line : "";
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
  std::string prefix, chooser;  // what in PREFIX chooses the executable: itself, or a script
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
    home.python = chooser = prefix + kExecutable;
    const std::string other = exists(chooser) ? "" : python_of_script(prefix + kScript);
    if (exists(other)) home.python = other, chooser = prefix + kScript;
    if (!exists(home.python)) {
      why = {MLD_E_PYTHON,
             "no Python: " + home.python + ", to which " + lib + " belongs, is no file" + cure,
             {},
             false};
      return false;
    }
  }
  const bool chosen_by_others =
      !chooser.empty() && (too_open(chooser, lib, prefix) || !known_owner(chooser, lib, prefix));
  if (!chosen_by_others && !too_open(home.python, lib, prefix)) return true;
  why = {MLD_E_PYTHON,
         "Python at " + home.python + " can be changed by other users, as " +
             (chosen_by_others ? parent(chooser) + " or a file in it" : "it or its folder") +
             " belongs to one or is open to all; take that right away, or set MLD_CLOSURE_PYTHON to the executable "
             "you trust",
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

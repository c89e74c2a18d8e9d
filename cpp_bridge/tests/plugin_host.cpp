// Opens a plugin so that none of its symbols become visible, as many codes do: plugin_host PLUGIN BUNDLE
#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: plugin_host PLUGIN BUNDLE\n"), 2;
  void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  auto run = plugin ? reinterpret_cast<int (*)(const char*)>(dlsym(plugin, "run_plugin")) : nullptr;
  if (!run) return std::fprintf(stderr, "%s\n", dlerror()), 1;
  return run(argv[2]);
}

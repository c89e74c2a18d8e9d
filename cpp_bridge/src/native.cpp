// The compiled part of the Python package: says what it was built as, so that a stale build is recognised.
#include <pybind11/pybind11.h>

#if defined(__clang__)
#define MLD_COMPILER "Clang " __clang_version__
#elif defined(__GNUC__)
#define MLD_COMPILER "GNU " __VERSION__
#else
#define MLD_COMPILER "unknown compiler"
#endif

PYBIND11_MODULE(_native, m) {
  m.doc() = "Build identity of the compiled part of mld_closure.";
  m.attr("version") = MLD_VERSION;
  m.attr("compiler") = MLD_COMPILER;
  m.attr("cplusplus") = static_cast<long>(__cplusplus);
}

// The Python of this process: started once, never ended.
#ifndef MLD_CLOSURE_INTERPRETER_HPP
#define MLD_CLOSURE_INTERPRETER_HPP

#include "backend.hpp"

namespace mld_core {

// Starts Python as that of `home` unless it runs already; `started` says which. The thread that starts it
// gives the interpreter lock back at once. Returns false and fills `why` where it does not start.
bool start_python(const Home& home, bool& started, Failure& why);

// Path of the MPI library that the program has loaded, or "".
std::string loaded_mpi();

}  // namespace mld_core

#endif

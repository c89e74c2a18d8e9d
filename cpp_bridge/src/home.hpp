// Finds the Python that belongs to this library, and makes its symbols visible to the Python backend.
#ifndef MLD_CLOSURE_HOME_HPP
#define MLD_CLOSURE_HOME_HPP

#include <string>

#include "backend.hpp"

namespace mld_core {

// Folder of the library that holds this code.
std::string own_folder();

// Loads libpython for all to see unless the program has it. Returns false and fills `why` where there is
// none.
bool provide_python(Home& home, Failure& why);

}  // namespace mld_core

#endif

// Whether what a host passes can be used; found out before it reaches the backend.
#ifndef MLD_CLOSURE_ARGUMENTS_HPP
#define MLD_CLOSURE_ARGUMENTS_HPP

#include <cstdint>
#include <string>

#include "backend.hpp"

namespace mld_core {

// Fills `why` with MLD_E_ARGUMENT, marked as refused here; returns the error.
int refuse(Failure& why, std::string message);

// These return MLD_OK, or refuse.
int check_size(const char* what, std::int64_t n, std::int64_t ny, std::int64_t nx, Failure& why);
int check_cells(std::int64_t n, const std::int64_t* ids, bool all_allowed, Failure& why);
int check_call(Cells cells, const Arrays& arrays, Failure& why);
int check_read(Cells cells, const Arrays& arrays, Failure& why);

// Options of a host that was compiled with another version of the header, as this version knows them: members
// are only ever added at the end, so what an older host lacks stays zero, and what is unknown here must be
// zero. Returns false where the size is none of a version's, or an unknown option is set.
bool take_options(const mld_options* given, mld_options& options, std::string& why);

// The same for cells to be registered, which have to be given in one of the three ways.
int take_registration(const mld_registration* given, mld_registration& registration, Failure& why);

}  // namespace mld_core

#endif

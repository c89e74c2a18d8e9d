# find_package(mld_closure) gives mld_closure::mld_closure (C and C++), and where the project uses Fortran
# mld_closure::fortran (module mld_closure, compiled with the project's own compiler).
get_filename_component(_mld_root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)

if(NOT TARGET mld_closure::mld_closure)
  add_library(mld_closure::mld_closure SHARED IMPORTED)
  set_target_properties(mld_closure::mld_closure PROPERTIES
    IMPORTED_LOCATION "${_mld_root}/lib/libmld_closure.so"
    IMPORTED_SONAME "libmld_closure.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_mld_root}/include")

  get_property(_mld_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if("Fortran" IN_LIST _mld_languages)
    add_library(mld_closure::fortran INTERFACE IMPORTED)
    set_target_properties(mld_closure::fortran PROPERTIES
      INTERFACE_SOURCES "${_mld_root}/fortran/mld_closure.f90"
      INTERFACE_LINK_LIBRARIES mld_closure::mld_closure)
  endif()
endif()
set(mld_closure_FOUND TRUE)

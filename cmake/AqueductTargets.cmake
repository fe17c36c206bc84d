# Makes the targets Aqueduct::shared, Aqueduct::static and Aqueduct::aqueduct (one of the two): the same text for the
# build tree and for the installed package. Whoever includes it has set
#
#   _aqueduct_include_dir     what comes before <aqueduct/aqueduct.h>
#   _aqueduct_shared_library  a path, or empty when there is none; _aqueduct_soname the name in it
#   _aqueduct_static_library  a path, or empty; _aqueduct_static_libs what to link with it, as linker flags
#   _aqueduct_scope           GLOBAL or nothing
#
# The flags are flags (-lpcap) and not names (pcap), since a name might be one of the user's own targets.

if(NOT TARGET Aqueduct::shared AND _aqueduct_shared_library)
  add_library(Aqueduct::shared SHARED IMPORTED ${_aqueduct_scope})
  set_target_properties(Aqueduct::shared PROPERTIES
    IMPORTED_LOCATION "${_aqueduct_shared_library}"
    IMPORTED_SONAME "${_aqueduct_soname}"
    INTERFACE_INCLUDE_DIRECTORIES "${_aqueduct_include_dir}")
endif()

if(NOT TARGET Aqueduct::static AND _aqueduct_static_library)
  set(_aqueduct_links ${_aqueduct_static_libs})
  list(REMOVE_ITEM _aqueduct_links -lpthread)
  add_library(Aqueduct::static STATIC IMPORTED ${_aqueduct_scope})
  set_target_properties(Aqueduct::static PROPERTIES
    IMPORTED_LOCATION "${_aqueduct_static_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${_aqueduct_include_dir}"
    INTERFACE_LINK_LIBRARIES "${_aqueduct_links};Threads::Threads")
  unset(_aqueduct_links)
endif()

# AQUEDUCT_USE_STATIC_LIBS decides, or else BUILD_SHARED_LIBS; with neither it is the shared library. When only one of
# the two is there, it is that one.
if(NOT TARGET Aqueduct::aqueduct)
  set(_aqueduct_choice shared)
  if(DEFINED AQUEDUCT_USE_STATIC_LIBS)
    if(AQUEDUCT_USE_STATIC_LIBS)
      set(_aqueduct_choice static)
    endif()
  elseif(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
    set(_aqueduct_choice static)
  endif()
  if(NOT TARGET Aqueduct::static)
    set(_aqueduct_choice shared)
  elseif(NOT TARGET Aqueduct::shared)
    set(_aqueduct_choice static)
  endif()
  add_library(Aqueduct::aqueduct INTERFACE IMPORTED ${_aqueduct_scope})
  set_target_properties(Aqueduct::aqueduct PROPERTIES INTERFACE_LINK_LIBRARIES "Aqueduct::${_aqueduct_choice}")
  unset(_aqueduct_choice)
endif()

# CPack: `cpack -G DEB` and `cpack -G TGZ` in the build folder.
#
# The archive has everything and works from wherever it is unpacked. The Debian packages are one for each component;
# for Debian's multiarch folders, configure with -DCMAKE_INSTALL_PREFIX=/usr.

set(CPACK_PACKAGE_NAME aqueduct)
set(CPACK_PACKAGE_VENDOR "The Aqueduct developers")
set(CPACK_PACKAGE_CONTACT "The Aqueduct developers <maintainers@aqueduct.invalid>")
set(CPACK_PACKAGE_FILE_NAME "aqueduct-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")
set(CPACK_RESOURCE_FILE_LICENSE "${aqueduct_root}/LICENSE-MIT")
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR "TGZ;DEB")
# Only this project's own components, none that a generator may add.
set(CPACK_COMPONENTS_ALL ${aqueduct_components})

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)

set(aqueduct_deb_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME "${aqueduct_package_runtime}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "Data acquisition from the wire to your code: the shared library
 Receives SPEAD streams, buffers events, shares signals between programs and
 streams HDF5 datasets, with every loss accounted for.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME "${aqueduct_package_development}")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${aqueduct_package_runtime} (= ${aqueduct_deb_version})")
set(aqueduct_package_static_needs "")  # for programs that link the static library
if("pcap" IN_LIST aqueduct_features)
  list(APPEND aqueduct_package_static_needs libpcap-dev)
endif()
if("zmq" IN_LIST aqueduct_features)
  list(APPEND aqueduct_package_static_needs libzmq3-dev)
endif()
if("hdf5" IN_LIST aqueduct_features)
  list(APPEND aqueduct_package_static_needs libhdf5-dev)
endif()
if(aqueduct_package_static_needs)
  list(JOIN aqueduct_package_static_needs ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS)
endif()
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Data acquisition from the wire to your code: for C and C++ developers
 The header, the static library, and files for CMake and pkg-config.")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME "${aqueduct_package_program}")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "Data acquisition from the wire to your code: the command-line program
 It sends, receives, records and inspects what the library libaqueduct handles.")

# Dependencies on other packages are read from the files, where Debian's tools for that are there (dpkg-dev, file).
find_program(AQUEDUCT_DPKG_SHLIBDEPS dpkg-shlibdeps)
find_program(AQUEDUCT_FILE file)
mark_as_advanced(AQUEDUCT_DPKG_SHLIBDEPS AQUEDUCT_FILE)
if(AQUEDUCT_DPKG_SHLIBDEPS AND AQUEDUCT_FILE)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)  # and runs ldconfig
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
else()
  message(STATUS "Aqueduct: Debian packages will name no dependencies (needs dpkg-shlibdeps and file)")
endif()

include(CPack)

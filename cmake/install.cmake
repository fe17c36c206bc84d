# Install rules. Three components, which are also the Debian packages: runtime (what a linked program needs),
# development (what a compiler needs), program (the command-line program). Nothing installed names an absolute path,
# unless one is asked for, as in -DCMAKE_INSTALL_LIBDIR=/somewhere.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# ---- Files: cargo's, so CMake takes them for data; links are copied as links ----

install(FILES "${aqueduct_lib}/${aqueduct_so_full}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime
  PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(FILES "${aqueduct_lib}/${aqueduct_so_abi}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES "${aqueduct_lib}/${aqueduct_so}" "${aqueduct_lib}/libaqueduct.a"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(DIRECTORY "${aqueduct_root}/include/aqueduct" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
if(aqueduct_programs)
  install(PROGRAMS ${aqueduct_programs} DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program)
endif()

# ---- The CMake package ----

set(aqueduct_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Aqueduct")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/AqueductConfig.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/AqueductConfig.cmake"
  INSTALL_DESTINATION "${aqueduct_cmake_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# Who asks for 0.1 is content with 0.2: what is exported grows and never changes until the first number does.
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/AqueductConfigVersion.cmake"
  COMPATIBILITY SameMajorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/AqueductConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/AqueductConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/AqueductTargets.cmake"
  DESTINATION "${aqueduct_cmake_dir}" COMPONENT development)

# ---- The pkg-config file ----

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(aqueduct_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH aqueduct_pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "^(.*[^/])/*$" "\${pcfiledir}/\\1" aqueduct_pc_prefix "${aqueduct_pc_prefix}")
endif()
foreach(aqueduct_dir LIBDIR INCLUDEDIR)
  string(TOLOWER "aqueduct_pc_${aqueduct_dir}" aqueduct_name)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${aqueduct_dir}}")
    set(${aqueduct_name} "${CMAKE_INSTALL_${aqueduct_dir}}")
  else()
    set(${aqueduct_name} "\${prefix}/${CMAKE_INSTALL_${aqueduct_dir}}")
  endif()
endforeach()
configure_file("${CMAKE_CURRENT_LIST_DIR}/aqueduct.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/aqueduct.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/aqueduct.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
  COMPONENT development)

# ---- Licences: a copy in each package ----

set(aqueduct_package_runtime "libaqueduct${aqueduct_abi}")
set(aqueduct_package_development "libaqueduct-dev")
set(aqueduct_package_program "aqueduct")
set(aqueduct_components runtime development)
if(aqueduct_programs)
  list(APPEND aqueduct_components program)
endif()
foreach(aqueduct_component IN LISTS aqueduct_components)
  install(FILES "${aqueduct_root}/LICENSE-MIT" "${aqueduct_root}/LICENSE-APACHE"
    DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/doc/${aqueduct_package_${aqueduct_component}}"
    COMPONENT ${aqueduct_component})
endforeach()

# ---- Stripping, with `cmake --install --strip` and in packages ----

# CMake strips what it has built itself; this is cargo's. The static library keeps what a linker needs.
if(NOT CMAKE_STRIP)
  find_program(CMAKE_STRIP strip)
endif()
function(aqueduct_install_strip component flag)
  foreach(file IN LISTS ARGN)
    install(CODE "
      if(CMAKE_INSTALL_DO_STRIP)
        execute_process(COMMAND \"${CMAKE_STRIP}\" ${flag} \"\$ENV{DESTDIR}${file}\")
      endif()" COMPONENT ${component})
  endforeach()
endfunction()
# An absolute directory is itself; a relative one is below the prefix of the moment, which `cmake --install --prefix`
# and CPack change.
foreach(aqueduct_dir LIBDIR BINDIR)
  set(aqueduct_at_${aqueduct_dir} "${CMAKE_INSTALL_${aqueduct_dir}}")
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_${aqueduct_dir}}")
    set(aqueduct_at_${aqueduct_dir} "\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_${aqueduct_dir}}")
  endif()
endforeach()
if(CMAKE_STRIP)
  aqueduct_install_strip(runtime --strip-unneeded "${aqueduct_at_LIBDIR}/${aqueduct_so_full}")
  aqueduct_install_strip(development --strip-debug "${aqueduct_at_LIBDIR}/libaqueduct.a")
  if(aqueduct_programs)
    aqueduct_install_strip(program --strip-unneeded "${aqueduct_at_BINDIR}/aqueduct")
  endif()
endif()

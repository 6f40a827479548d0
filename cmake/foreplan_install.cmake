# Installation: library, headers, tasks, program, and the package that find_package(foreplan) reads.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/foreplan")
set(private_dir "${CMAKE_INSTALL_LIBDIR}/foreplan")

install(TARGETS foreplan EXPORT foreplan_targets)
install(EXPORT foreplan_targets NAMESPACE foreplan:: FILE foreplan-targets.cmake
        DESTINATION "${package_dir}")
# Public headers and what they include; all others stay at home (scripts/check_headers.py).
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/installed_headers.txt)
file(STRINGS cmake/installed_headers.txt installed_headers REGEX "^[^#]")
foreach(header IN LISTS installed_headers)
  cmake_path(GET header PARENT_PATH folder)
  install(FILES "${header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/${folder}")
endforeach()
# CMake wants folders given with "/" to exist; a tree without tasks installs none.
install(DIRECTORY tasks DESTINATION "${CMAKE_INSTALL_DATADIR}/foreplan" COMPONENT runtime OPTIONAL)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)
install(DIRECTORY docs examples DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)

# The wheel's MuJoCo comes along: the installed program must outlive .venv.
if(FOREPLAN_MUJOCO STREQUAL "wheel")
  install(FILES "${mujoco_library}" DESTINATION "${private_dir}/mujoco")
  install(DIRECTORY "${mujoco_include_dir}" DESTINATION "${private_dir}/mujoco")
endif()

if(TARGET foreplan_cli AND program_sources)
  file(RELATIVE_PATH bin_to_private "/${CMAKE_INSTALL_BINDIR}" "/${private_dir}/mujoco")
  set_target_properties(foreplan_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_private}")
  install(TARGETS foreplan_cli)
  include(foreplan_shell)
endif()

configure_package_config_file(cmake/foreplan-config.cmake.in
  "${PROJECT_BINARY_DIR}/foreplan-config.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS private_dir)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/foreplan-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/foreplan-config.cmake"
  "${PROJECT_BINARY_DIR}/foreplan-config-version.cmake"
  cmake/foreplan_dependencies.cmake
  DESTINATION "${package_dir}")

include(foreplan_pkg_config)

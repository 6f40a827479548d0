# foreplan.pc, for builds without CMake: g++ robot.cc $(pkg-config --cflags --libs foreplan). Proven by
# `./dev check package`. Needs private_dir of foreplan_install.cmake.

set(pkg_config_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH pc_to_prefix "/${pkg_config_dir}" "/")
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")

set(pc_requires "eigen3 >= 3.4, fmt, spdlog, nlohmann_json >= 3, zlib")
if(TARGET foreplan_libzip)
  string(APPEND pc_requires ", libzip")
endif()

get_target_property(definitions foreplan INTERFACE_COMPILE_DEFINITIONS)
list(TRANSFORM definitions PREPEND "-D")
list(JOIN definitions " " pc_cflags)

# What has no .pc of its own is named by its path.
set(pc_libs "-pthread")
if(TARGET foreplan_onednn)
  string(APPEND pc_libs " ${FOREPLAN_ONEDNN_LIBRARY} -lgomp")
endif()
if(FOREPLAN_MUJOCO STREQUAL "wheel")
  cmake_path(GET mujoco_library FILENAME name)
  set(folder "\${prefix}/${private_dir}/mujoco")
  string(APPEND pc_cflags " -I${folder}/include")
  string(APPEND pc_libs " ${folder}/${name} -Wl,-rpath,${folder}")
elseif(FOREPLAN_MUJOCO STREQUAL "system")
  if(NOT mujoco_include_dir IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    string(APPEND pc_cflags " -I${mujoco_include_dir}")
  endif()
  string(APPEND pc_libs " ${mujoco_library}")
endif()

configure_file(cmake/foreplan.pc.in "${PROJECT_BINARY_DIR}/foreplan.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/foreplan.pc" DESTINATION "${pkg_config_dir}")

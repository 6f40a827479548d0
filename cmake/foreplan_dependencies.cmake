# Finds what the library stands on. Read by the build and, installed, by find_package(foreplan).
# Leaves behind: foreplan_dependencies (targets), foreplan_dependency_definitions.

find_package(Threads REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json 3 REQUIRED)
find_package(ZLIB REQUIRED)  # recordings are packed

set(foreplan_dependencies Threads::Threads Eigen3::Eigen fmt::fmt spdlog::spdlog
    nlohmann_json::nlohmann_json ZLIB::ZLIB foreplan_tomlplusplus)
set(foreplan_dependency_definitions "")

# toml++ is used header-only: not every package of it ships a CMake config.
find_path(FOREPLAN_TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h)
if(NOT FOREPLAN_TOMLPLUSPLUS_INCLUDE_DIR)
  message(FATAL_ERROR "foreplan: toml++/toml.h was not found. "
                      "`./dev build` installs it; on Debian it is in libtomlplusplus-dev.")
endif()
if(NOT TARGET foreplan_tomlplusplus)
  add_library(foreplan_tomlplusplus INTERFACE IMPORTED)
  target_include_directories(foreplan_tomlplusplus
                             INTERFACE "${FOREPLAN_TOMLPLUSPLUS_INCLUDE_DIR}")
endif()

# oneDNN multiplies the networks' matrices; Eigen does where it is absent. An own target, because
# the package's config asks for OpenCL headers. With it comes the OpenMP runtime that it uses
# (libgomp), since our workers tell it to stay on their thread; our code itself uses no OpenMP.
option(FOREPLAN_ONEDNN "Use oneDNN for dense layers when it is installed" ON)
if(FOREPLAN_ONEDNN)
  find_path(FOREPLAN_ONEDNN_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
  find_library(FOREPLAN_ONEDNN_LIBRARY dnnl)
  if(FOREPLAN_ONEDNN_INCLUDE_DIR AND FOREPLAN_ONEDNN_LIBRARY)
    if(NOT TARGET foreplan_onednn)
      add_library(foreplan_onednn UNKNOWN IMPORTED)
      set_target_properties(foreplan_onednn PROPERTIES
        IMPORTED_LOCATION "${FOREPLAN_ONEDNN_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${FOREPLAN_ONEDNN_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES gomp)
    endif()
    list(APPEND foreplan_dependencies foreplan_onednn)
    list(APPEND foreplan_dependency_definitions FOREPLAN_HAVE_ONEDNN=1)
  else()
    message(STATUS "foreplan: oneDNN was not found, dense layers use Eigen")
  endif()
endif()

# NPZ files need libzip; without it they are refused. Only their reader's own file knows the header.
option(FOREPLAN_LIBZIP "Read NPZ files when libzip is installed" ON)
if(FOREPLAN_LIBZIP)
  find_path(FOREPLAN_LIBZIP_INCLUDE_DIR zip.h)
  find_library(FOREPLAN_LIBZIP_LIBRARY zip)
endif()
if(FOREPLAN_LIBZIP AND FOREPLAN_LIBZIP_INCLUDE_DIR AND FOREPLAN_LIBZIP_LIBRARY)
  if(NOT TARGET foreplan_libzip)
    add_library(foreplan_libzip UNKNOWN IMPORTED)
    set_target_properties(foreplan_libzip PROPERTIES
      IMPORTED_LOCATION "${FOREPLAN_LIBZIP_LIBRARY}")
  endif()
  list(APPEND foreplan_dependencies foreplan_libzip)
else()
  message(STATUS "foreplan: without libzip, NPZ files are refused")
endif()

# MuJoCo: the library of the pinned Python wheel, the distribution's, or none.
set(FOREPLAN_MUJOCO wheel CACHE STRING "Where MuJoCo comes from: wheel, system or off")
set_property(CACHE FOREPLAN_MUJOCO PROPERTY STRINGS wheel system off)
set(FOREPLAN_MUJOCO_DIR "" CACHE PATH
    "Folder of the unpacked wheel with include/ and libmujoco.so.4.0.*; empty: look in .venv")

if(FOREPLAN_MUJOCO STREQUAL "wheel")
  set(mujoco_dir "${FOREPLAN_MUJOCO_DIR}")
  if(NOT mujoco_dir)
    set(mujoco_dir "${foreplan_default_mujoco_dir}")  # set by an installed package's config
  endif()
  if(NOT mujoco_dir)
    set(mujoco_dir "${PROJECT_SOURCE_DIR}/.venv/lib/python*/site-packages/mujoco")
  endif()
  # The wheel has no libmujoco.so link, so the library is named by its full path.
  file(GLOB mujoco_library "${mujoco_dir}/libmujoco.so.4.0.*")
  if(NOT mujoco_library)
    message(FATAL_ERROR
      "foreplan: MuJoCo 4.0 was not found, no libmujoco.so.4.0.* in\n  ${mujoco_dir}\n"
      "`./dev build` installs it (the Python wheel mujoco-core in .venv). Or give its folder with "
      "-DFOREPLAN_MUJOCO_DIR=..., or build without it: -DFOREPLAN_MUJOCO=off.")
  endif()
  list(GET mujoco_library -1 mujoco_library)
  get_filename_component(mujoco_dir "${mujoco_library}" DIRECTORY)
  set(mujoco_include_dir "${mujoco_dir}/include")
elseif(FOREPLAN_MUJOCO STREQUAL "system")
  # The package's own config asks for OpenGL and an include folder that does not exist.
  find_path(FOREPLAN_MUJOCO_INCLUDE_DIR mujoco/mujoco.h)
  find_library(FOREPLAN_MUJOCO_LIBRARY mujoco)
  if(NOT FOREPLAN_MUJOCO_INCLUDE_DIR OR NOT FOREPLAN_MUJOCO_LIBRARY)
    message(FATAL_ERROR "foreplan: FOREPLAN_MUJOCO=system, but mujoco/mujoco.h or libmujoco was "
                        "not found. On Debian they are in libmujoco-dev.")
  endif()
  set(mujoco_library "${FOREPLAN_MUJOCO_LIBRARY}")
  set(mujoco_include_dir "${FOREPLAN_MUJOCO_INCLUDE_DIR}")
elseif(NOT FOREPLAN_MUJOCO STREQUAL "off")
  message(FATAL_ERROR "foreplan: FOREPLAN_MUJOCO=${FOREPLAN_MUJOCO}, expected wheel, system or off")
endif()

if(NOT FOREPLAN_MUJOCO STREQUAL "off")
  # Targets with the property FOREPLAN_LOADED_BEHIND_MUJOCO are not linked to the library: it is in the process
  # before they are.
  if(NOT TARGET foreplan_mujoco)
    add_library(foreplan_mujoco_library SHARED IMPORTED)
    set_target_properties(foreplan_mujoco_library PROPERTIES IMPORTED_LOCATION "${mujoco_library}")
    add_library(foreplan_mujoco INTERFACE IMPORTED)
    set_target_properties(foreplan_mujoco PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${mujoco_include_dir}"
      INTERFACE_LINK_LIBRARIES
        "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:FOREPLAN_LOADED_BEHIND_MUJOCO>>>:foreplan_mujoco_library>")
  endif()
  list(APPEND foreplan_dependencies foreplan_mujoco)
  list(APPEND foreplan_dependency_definitions FOREPLAN_HAVE_MUJOCO=1)
  message(STATUS "foreplan: MuJoCo ${mujoco_library}")
endif()

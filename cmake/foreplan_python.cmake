# The Python module: foreplan._core beside the package's own files, ready to import from the build
# folder (build/<preset>/python), and installed into a wheel as the component `python` (pyproject.toml).

if(NOT FOREPLAN_PYTHON_MODULE)
  return()
endif()
if(NOT FOREPLAN_MUJOCO STREQUAL "wheel")
  message(FATAL_ERROR "foreplan: FOREPLAN_MUJOCO=${FOREPLAN_MUJOCO}, expected wheel: the Python module "
                      "shares the library of the Python package mujoco-core")
endif()

execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
                OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

set(python_dir "${PROJECT_BINARY_DIR}/python/foreplan")
file(GLOB python_sources CONFIGURE_DEPENDS python/bindings/*.cc)
nanobind_add_module(foreplan_python NB_STATIC STABLE_ABI NB_SUPPRESS_WARNINGS ${python_sources})
target_link_libraries(foreplan_python PRIVATE foreplan)
set_target_properties(foreplan_python PROPERTIES
  OUTPUT_NAME _core LIBRARY_OUTPUT_DIRECTORY "${python_dir}"
  FOREPLAN_LOADED_BEHIND_MUJOCO ON)  # by foreplan/_mujoco.py
foreach(program foreplan_hdf5_reader foreplan_hdf5_writer)  # they are looked for beside the module
  if(TARGET ${program})
    add_dependencies(foreplan_python ${program})
    add_custom_command(TARGET foreplan_python POST_BUILD COMMAND "${CMAKE_COMMAND}" -E create_symlink
      "$<TARGET_FILE:${program}>" "${python_dir}/${program}")
  endif()
endforeach()
install(TARGETS foreplan_python DESTINATION foreplan COMPONENT python)

file(GLOB_RECURSE python_files RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS
     python/foreplan/*.py python/foreplan/py.typed)
foreach(file IN LISTS python_files)
  configure_file("${PROJECT_SOURCE_DIR}/${file}" "${PROJECT_BINARY_DIR}/${file}" COPYONLY)
endforeach()

# What the extension offers, for type checkers; the package in the build folder is asked.
nanobind_add_stub(foreplan_python_stub MODULE foreplan._core PYTHON_PATH "${PROJECT_BINARY_DIR}/python"
  PATTERN_FILE "${PROJECT_SOURCE_DIR}/python/bindings/stub_patterns.txt"
  OUTPUT "${python_dir}/_core.pyi" DEPENDS foreplan_python)
install(FILES "${python_dir}/_core.pyi" DESTINATION foreplan COMPONENT python)

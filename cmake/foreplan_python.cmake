# The Python module: foreplan._core beside the package's own files, ready to import from the build
# folder (build/<preset>/python).

option(FOREPLAN_PYTHON_MODULE "Build the Python module" OFF)
if(NOT FOREPLAN_PYTHON_MODULE)
  return()
endif()

find_package(Python 3.11 COMPONENTS Interpreter Development.Module REQUIRED)
execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
                OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

file(GLOB python_sources CONFIGURE_DEPENDS python/bindings/*.cc)
nanobind_add_module(foreplan_python NB_STATIC NB_SUPPRESS_WARNINGS ${python_sources})
target_link_libraries(foreplan_python PRIVATE foreplan)
set_target_properties(foreplan_python PROPERTIES
  OUTPUT_NAME _core LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/foreplan")

file(GLOB python_files CONFIGURE_DEPENDS python/foreplan/*.py python/foreplan/*.pyi python/foreplan/py.typed)
foreach(file IN LISTS python_files)
  cmake_path(GET file FILENAME name)
  configure_file("${file}" "${PROJECT_BINARY_DIR}/python/foreplan/${name}" COPYONLY)
endforeach()

# The module finds programs beside itself.
foreach(program foreplan_hdf5_reader foreplan_hdf5_writer)
  if(TARGET ${program})
    add_custom_command(TARGET foreplan_python POST_BUILD COMMAND ${CMAKE_COMMAND} -E copy_if_different
      $<TARGET_FILE:${program}> $<TARGET_FILE_DIR:foreplan_python>)
  endif()
endforeach()

# HDF5 files are read by a program of its own, foreplan_hdf5_reader: its library crashes on damaged files.
# They are written by another, foreplan_hdf5_writer, so that the library foreplan does not know HDF5: it
# finds the programs beside itself or the program that runs, or where they are installed
# (foreplan/data/hdf5_programs.cc). Without HDF5 its files are refused.

option(FOREPLAN_HDF5 "Read and write HDF5 files when its library is installed" ON)
if(FOREPLAN_HDF5)  # CMake's module for it would ask for a C compiler
  find_path(FOREPLAN_HDF5_INCLUDE_DIR hdf5.h PATH_SUFFIXES hdf5/serial)
  find_library(FOREPLAN_HDF5_LIBRARY NAMES hdf5_serial hdf5)
endif()
if(NOT FOREPLAN_HDF5 OR NOT FOREPLAN_HDF5_INCLUDE_DIR OR NOT FOREPLAN_HDF5_LIBRARY)
  message(STATUS "foreplan: without HDF5, its files are refused")
  return()
endif()

set(foreplan_programs_dir "${CMAKE_INSTALL_LIBEXECDIR}/foreplan")
foreach(name reader writer)
  add_executable(foreplan_hdf5_${name} foreplan/data/hdf5_program/${name}.cc)
  target_compile_features(foreplan_hdf5_${name} PRIVATE cxx_std_20)
  target_include_directories(foreplan_hdf5_${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  if(NOT FOREPLAN_HDF5_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    target_include_directories(foreplan_hdf5_${name} SYSTEM PRIVATE "${FOREPLAN_HDF5_INCLUDE_DIR}")
  endif()
  target_link_libraries(foreplan_hdf5_${name} PRIVATE "${FOREPLAN_HDF5_LIBRARY}")
  install(TARGETS foreplan_hdf5_${name} DESTINATION "${foreplan_programs_dir}" COMPONENT runtime)
  add_dependencies(foreplan foreplan_hdf5_${name})  # whoever uses the library can read and write such files
endforeach()

file(RELATIVE_PATH from_bin "/${CMAKE_INSTALL_BINDIR}" "/${foreplan_programs_dir}")
file(RELATIVE_PATH from_lib "/${CMAKE_INSTALL_LIBDIR}" "/${foreplan_programs_dir}")
set(definitions
  FOREPLAN_HAVE_HDF5=1
  "FOREPLAN_PROGRAMS_FROM_BIN=\"${from_bin}\""
  "FOREPLAN_PROGRAMS_FROM_LIB=\"${from_lib}\""
  "FOREPLAN_PROGRAMS_DIR=\"${CMAKE_INSTALL_FULL_LIBEXECDIR}/foreplan\"")
set_source_files_properties(foreplan/data/hdf5_programs.cc PROPERTIES
  COMPILE_DEFINITIONS "${definitions}")
set_property(SOURCE foreplan/data/hdf5_reader.cc foreplan/data/hdf5_writer.cc foreplan/data/log_writer_test.cc
  foreplan/data/minari_writer_test.cc foreplan/runs/machine.cc foreplan/data/recording_test.cc
  foreplan/data/logs_test.cc APPEND PROPERTY COMPILE_DEFINITIONS FOREPLAN_HAVE_HDF5=1)

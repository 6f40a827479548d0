# Tests, examples and benchmarks, found by their names:
#   foreplan/<room>/**/*_test.cc    -> <room>_test       (ctest names: <room>.<Suite>.<Test>)
#   apps/*_test.cc                  -> apps_test         (they start the program)
#   examples/<name>.cc              -> example_<name>    (ctest name: example.<name>)
#   foreplan/<room>/**/*_benchmark.cc -> <room>_benchmark  (target `benchmarks` builds them all)

include(GoogleTest)

# Sets <result> to the sources in a folder and those below that match <pattern>, without MuJoCo's when it is off.
function(foreplan_glob result pattern)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}" "${pattern}")
  if(FOREPLAN_MUJOCO STREQUAL "off")
    list(FILTER files EXCLUDE REGEX "/mujoco[^/]*\\.cc$")
  endif()
  set(${result} "${files}" PARENT_SCOPE)
endfunction()

# One executable <room>_test. Suites named *Gate are slow learning tests: label `gate`, one at a
# time, because they measure times and use every core themselves.
function(foreplan_add_room_test room)
  set(target ${room}_test)
  foreplan_glob(help foreplan/${room}/testing/*.cc)
  list(REMOVE_ITEM help foreplan/core/testing/own_folder.cc)
  add_executable(${target} ${ARGN} ${help})
  target_link_libraries(${target} PRIVATE foreplan_test_base GTest::gtest_main)
  gtest_discover_tests(${target} DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES TEST_PREFIX "${room}."
    TEST_FILTER "-*Gate.*" PROPERTIES TIMEOUT 600)
  gtest_discover_tests(${target} DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES TEST_PREFIX "${room}."
    TEST_FILTER "*Gate.*" PROPERTIES LABELS gate RUN_SERIAL TRUE TIMEOUT 1200)
endfunction()

# What all tests share: a temporary folder for each process.
function(foreplan_add_test_base)
  add_library(foreplan_test_base OBJECT foreplan/core/testing/own_folder.cc)
  target_link_libraries(foreplan_test_base PUBLIC foreplan GTest::gmock GTest::gtest)
  target_include_directories(foreplan_test_base PUBLIC "${PROJECT_BINARY_DIR}/generated")
endfunction()

function(foreplan_add_tests)
  find_package(GTest REQUIRED)
  foreplan_add_test_base()
  # A header, not definitions: only the files that read the source tree depend on where it is.
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/foreplan/core/testing/source_dir.h" CONTENT
       "#pragma once\n#define FOREPLAN_SOURCE_DIR \"@PROJECT_SOURCE_DIR@\"\n" @ONLY)
  foreplan_glob(tests foreplan/*_test.cc)
  foreach(test IN LISTS tests)
    string(REGEX REPLACE "^foreplan/([^/]+)/.*" "\\1" room "${test}")
    list(APPEND rooms ${room})
    list(APPEND tests_of_${room} ${test})
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  foreach(room IN LISTS rooms)
    foreplan_add_room_test(${room} ${tests_of_${room}})
  endforeach()

  # Allocations that fail are told apart by the functions that ask for them.
  set_target_properties(experiments_test PROPERTIES ENABLE_EXPORTS ON)

  # To start the program with, by scripts/kill_runs.py.
  add_library(foreplan_file_faults MODULE foreplan/experiments/testing/file_faults.cc)
  target_include_directories(foreplan_file_faults PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_features(foreplan_file_faults PRIVATE cxx_std_20)

  foreplan_glob(app_tests apps/*_test.cc)
  if(NOT foreplan_http)
    list(FILTER app_tests EXCLUDE REGEX "${foreplan_http_sources}")
  endif()
  if(app_tests)
    foreplan_add_room_test(apps ${app_tests})
    target_link_libraries(apps_test PRIVATE ${foreplan_http})
    add_dependencies(apps_test foreplan_cli foreplan_file_faults example_learn_over_a_socket)
    # Pages with NumPy are run; `./dev` installs it in .venv.
    set(FOREPLAN_PYTHON "${PROJECT_SOURCE_DIR}/.venv/bin/python3" CACHE FILEPATH
        "Python 3.11 or newer with NumPy, by which tests run what pages say")
    target_compile_definitions(apps_test PRIVATE
      FOREPLAN_PYTHON="${FOREPLAN_PYTHON}"
      FOREPLAN_PROGRAM="$<TARGET_FILE:foreplan_cli>"
      FOREPLAN_FILE_FAULTS="$<TARGET_FILE:foreplan_file_faults>"
      FOREPLAN_SOCKET_EXAMPLE="$<TARGET_FILE:example_learn_over_a_socket>")
  endif()
endfunction()

function(foreplan_add_examples)
  foreplan_glob(examples examples/*.cc)
  foreach(example IN LISTS examples)
    get_filename_component(name "${example}" NAME_WE)
    add_executable(example_${name} ${example})
    target_link_libraries(example_${name} PRIVATE foreplan)
    add_test(NAME example.${name} COMMAND example_${name})
    # COST: the longest tests start first, so that none of them runs on alone at the end.
    set_tests_properties(example.${name} PROPERTIES TIMEOUT 600 COST 100)
  endforeach()
endfunction()

# Optional and not part of `all`: `./dev bench` builds and runs them.
function(foreplan_add_benchmarks)
  add_custom_target(benchmarks)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "foreplan: Google Benchmark was not found, no benchmarks")
    return()
  endif()
  foreplan_glob(benchmarks foreplan/*_benchmark.cc)
  foreach(benchmark IN LISTS benchmarks)
    string(REGEX REPLACE "^foreplan/([^/]+)/.*" "\\1" room "${benchmark}")
    list(APPEND rooms ${room})
    list(APPEND benchmarks_of_${room} ${benchmark})
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  foreach(room IN LISTS rooms)
    add_executable(${room}_benchmark EXCLUDE_FROM_ALL ${benchmarks_of_${room}})
    target_link_libraries(${room}_benchmark PRIVATE foreplan benchmark::benchmark_main)
    add_dependencies(benchmarks ${room}_benchmark)
  endforeach()
endfunction()

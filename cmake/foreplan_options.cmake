# Options, compiler flags and small helpers. Nothing here knows a source file.

option(FOREPLAN_NATIVE "Compile for this machine's processor (-march=native)" OFF)
set(FOREPLAN_MARCH "" CACHE STRING "Processor to compile for; empty: x86-64-v3 (AVX2 and FMA)")
option(FOREPLAN_WERROR "Treat warnings as errors" OFF)
option(FOREPLAN_TESTS "Build tests, examples and benchmarks" ${PROJECT_IS_TOP_LEVEL})
set(FOREPLAN_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined")
option(FOREPLAN_FUZZ "Build foreplan_fuzz with libFuzzer, which clang has" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)  # clang-tidy reads it
set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # the library may end up in a Python module

get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT multi_config)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(FOREPLAN_CCACHE ccache)
if(FOREPLAN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths inside the tree are hashed relative to it, so that all clones share the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
      "${FOREPLAN_CCACHE}")
endif()

# Never -ffast-math: NaN and infinity keep their meaning, sums keep their order.
add_compile_options(-Wall -Wextra -Wpedantic -fno-math-errno -fno-trapping-math)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)  # false ones from std::string, gcc bug 105651
endif()
if(FOREPLAN_WERROR)
  add_compile_options(-Werror)
endif()

if(FOREPLAN_NATIVE)
  add_compile_options(-march=native)
elseif(FOREPLAN_MARCH)
  add_compile_options(-march=${FOREPLAN_MARCH})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v3)
endif()

if(FOREPLAN_SANITIZE)
  add_compile_options(-fsanitize=${FOREPLAN_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FOREPLAN_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ reports false ones in instrumented code; the other presets keep this warning.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()

if(FOREPLAN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # tells which branches were taken
endif()

# Sets <result> to the checked-out revision, with "-dirty" after local changes; in an unpacked archive
# (`./dev archive`) to the one it was made from; "unknown" elsewhere. Known at configure time.
function(foreplan_git_revision result)
  set(revision "")
  find_package(Git QUIET)
  if(Git_FOUND AND EXISTS "${PROJECT_SOURCE_DIR}/.git")
    execute_process(
      COMMAND "${GIT_EXECUTABLE}" describe --always --dirty --abbrev=12 "--exclude=*"
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  else()
    # Outside an archive the file holds a placeholder, which is no number.
    file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/git_revision.txt" revision REGEX "^[0-9a-f]+$")
    string(SUBSTRING "${revision}" 0 12 revision)
  endif()
  if(NOT revision)
    set(revision "unknown")
  endif()
  set(${result} "${revision}" PARENT_SCOPE)
endfunction()

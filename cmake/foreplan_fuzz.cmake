# fuzz/*.cc -> foreplan_fuzz, which gives every reader of a format whatever bytes there are. Where FOREPLAN_FUZZ is on
# it makes these itself; everywhere, the files of fuzz/corpus/<target> are tests (ctest names: fuzz.<target>).

function(foreplan_add_fuzz)
  file(GLOB sources CONFIGURE_DEPENDS fuzz/*.cc)
  add_executable(foreplan_fuzz ${sources})
  target_link_libraries(foreplan_fuzz PRIVATE foreplan)
  if(FOREPLAN_FUZZ)
    # These read no files and take longest to compile.
    set(rest ${library_sources})
    list(FILTER rest INCLUDE REGEX "foreplan/(trajopt|planners|control|models/local|models/physics)/")
    set_property(SOURCE ${rest} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all)
    execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -print-runtime-dir
                    OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
    find_library(FOREPLAN_LIBFUZZER NAMES clang_rt.fuzzer_no_main clang_rt.fuzzer_no_main-x86_64
                 PATHS "${runtime}" NO_DEFAULT_PATH REQUIRED)
    target_link_libraries(foreplan_fuzz PRIVATE "${FOREPLAN_LIBFUZZER}")
    target_compile_definitions(foreplan_fuzz PRIVATE FOREPLAN_LIBFUZZER=1)
    return()
  endif()
  add_test(NAME fuzz.own COMMAND foreplan_fuzz --own)
  file(GLOB corpora CONFIGURE_DEPENDS LIST_DIRECTORIES true fuzz/corpus/*)
  foreach(corpus IN LISTS corpora)
    get_filename_component(name "${corpus}" NAME)
    add_test(NAME fuzz.${name} COMMAND foreplan_fuzz ${name} "${corpus}")
  endforeach()
endfunction()

# Text files as constants of the library.
#
#   foreplan_embed(kReportHtml viewer/report.html)
#
# defines `const std::string_view foreplan::assets::kReportHtml`; the file that uses it declares
#   namespace foreplan::assets { extern const std::string_view kReportHtml; }
#
# Run as a script (cmake -P) this file writes the .cc; included it defines the functions.

if(CMAKE_SCRIPT_MODE_FILE)
  # -DNAME=<constant> -DINPUT=<file> -DOUTPUT=<.cc>
  file(SIZE "${INPUT}" size)
  file(READ "${INPUT}" hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
  file(WRITE "${OUTPUT}"
"#include <string_view>
namespace foreplan::assets {
extern const std::string_view ${NAME};
constinit const std::string_view ${NAME}(\"${bytes}\", ${size});
}  // namespace foreplan::assets
")
  return()
endif()

set(foreplan_embed_script "${CMAKE_CURRENT_LIST_FILE}")

# report.html -> kReportHtml, uPlot.iife.min.js -> kUPlotIifeMinJs
function(foreplan_constant_name file result)
  get_filename_component(file "${file}" NAME)
  string(REGEX REPLACE "[^A-Za-z0-9]+" ";" words "${file}")
  set(name k)
  foreach(word IN LISTS words)
    string(SUBSTRING "${word}" 0 1 first)
    string(SUBSTRING "${word}" 1 -1 rest)
    string(TOUPPER "${first}" first)
    string(APPEND name "${first}${rest}")
  endforeach()
  set(${result} ${name} PARENT_SCOPE)
endfunction()

function(foreplan_embed name file)
  get_filename_component(file "${file}" ABSOLUTE)
  set(output "${PROJECT_BINARY_DIR}/generated/assets/${name}.cc")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" -DNAME=${name} "-DINPUT=${file}" "-DOUTPUT=${output}"
            -P "${foreplan_embed_script}"
    DEPENDS "${file}" "${foreplan_embed_script}"
    COMMENT "Embedding ${name}"
    VERBATIM)
  target_sources(foreplan PRIVATE "${output}")
endfunction()

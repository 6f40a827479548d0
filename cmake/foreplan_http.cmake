# `foreplan view` and pictures of episodes need cpp-httplib, with what its package was compiled with. The program alone knows
# it, the library foreplan does not; without it, the program says so. Leaves behind: foreplan_http, the library or nothing, and
# foreplan_http_sources, a pattern of the sources that need it.

option(FOREPLAN_HTTPLIB "Serve pages when cpp-httplib is installed" ON)
set(foreplan_http "")
set(foreplan_http_sources "apps/(web_server|view_server|picture_server)[^/]*\\.cc$")
if(FOREPLAN_HTTPLIB)
  find_path(FOREPLAN_HTTPLIB_INCLUDE_DIR httplib.h)
  find_path(FOREPLAN_OPENSSL_INCLUDE_DIR openssl/ssl.h)
  find_library(FOREPLAN_HTTPLIB_LIBRARY cpp-httplib)
endif()
if(NOT FOREPLAN_HTTPLIB OR NOT FOREPLAN_HTTPLIB_INCLUDE_DIR OR NOT FOREPLAN_OPENSSL_INCLUDE_DIR
   OR NOT FOREPLAN_HTTPLIB_LIBRARY)
  message(STATUS "foreplan: without cpp-httplib, nothing is served: no view, no pictures of episodes")
  return()
endif()
set(foreplan_http "${FOREPLAN_HTTPLIB_LIBRARY}")
foreplan_glob(http_sources apps/*.cc)
list(FILTER http_sources INCLUDE REGEX "${foreplan_http_sources}|apps/(view_command|report_pictures)\\.cc$")
set_property(SOURCE ${http_sources} APPEND PROPERTY COMPILE_DEFINITIONS
  FOREPLAN_HAVE_HTTPLIB=1 CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT CPPHTTPLIB_BROTLI_SUPPORT)

// What is said of an exception whose type is not known.
#pragma once

#include <exception>
#include <string>

#include "foreplan/core/config_text.h"

namespace foreplan {

/// The message of what is being handled, on one line; others' code may throw what has none.
[[nodiscard]] inline std::string DescribeException() {
  try {
    throw;
  } catch (const std::exception& error) {
    return OnOneLine(error.what());
  } catch (...) {
    return "what is no std::exception";
  }
}

}  // namespace foreplan

// What is said of an exception whose type is not known.
#pragma once

#include <exception>
#include <string>

namespace foreplan {

/// The message of what is being handled; others' code may throw what has none.
[[nodiscard]] inline std::string DescribeException() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "what is no std::exception";
  }
}

}  // namespace foreplan

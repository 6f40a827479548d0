// What is said of an exception whose type is not known.
#pragma once

#include <exception>
#include <string>

#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"

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

/// What is being handled, as the error of a run that says whose code it was: "<whose> throws: ...".
/// What the library itself throws, a run's error or an interrupt, stays as it is.
[[noreturn]] inline void RethrowAsRunErrorOf(const std::string& whose) {
  try {
    throw;
  } catch (const RunError&) {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    throw RunError(whose + " throws: " + DescribeException());
  }
}

}  // namespace foreplan

// What a test reads of an error.
#pragma once

#include <string>

#include "foreplan/core/error.h"

namespace foreplan {

/// The message of the error of that kind that `function` throws, "" when it throws none.
template <typename Kind = InputError, typename Function>
std::string MessageOf(const Function& function) {
  try {
    function();
  } catch (const Kind& error) {
    return error.what();
  }
  return "";
}

}  // namespace foreplan

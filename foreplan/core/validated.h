// Options checked where a member is made from them.
#pragma once

#include <string_view>

#include "foreplan/core/options.h"

namespace foreplan {

/// The options if all are in range; throws InputError naming section, option, value and range.
template <typename Options>
[[nodiscard]] Options Validated(std::string_view section, Options options) {
  ValidateOptions(section, options);
  return options;
}

}  // namespace foreplan

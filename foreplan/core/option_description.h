// What may stand at a key of a configuration, and what does.
#pragma once

#include <string>
#include <vector>

#include "foreplan/core/options.h"

namespace foreplan {

/// Everything that an options struct says of one of its fields.
struct OptionDescription {
  std::string section = {};  // "planner.icem"; "" at the top
  std::string key = {};
  std::string value = {};                 // in effect, as TOML has it
  std::string expected = {};              // "an integer in [1, 10000]", "one of mean, best"
  Range range = {};                       // of a number, and of every number of a list
  std::vector<std::string> choices = {};  // all that a text may be; none: any text
  std::string help = {};

  /// "planner.icem.horizon", as --set takes it.
  [[nodiscard]] std::string path() const;
};

}  // namespace foreplan

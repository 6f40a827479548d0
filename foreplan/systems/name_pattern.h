// Names with a '*'.
#pragma once

#include <string_view>

namespace foreplan {

/// '*' in the pattern stands for any characters, also none.
[[nodiscard]] inline bool MatchesPattern(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] != '*') {
    return !name.empty() && pattern[0] == name[0] &&
           MatchesPattern(pattern.substr(1), name.substr(1));
  }
  return MatchesPattern(pattern.substr(1), name) ||
         (!name.empty() && MatchesPattern(pattern, name.substr(1)));
}

}  // namespace foreplan

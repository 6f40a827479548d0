// Names with a '*'.
#pragma once

#include <string_view>

namespace foreplan {

/// '*' in the pattern stands for any characters, also none.
[[nodiscard]] inline bool MatchesPattern(std::string_view pattern, std::string_view name) {
  const std::string_view head = pattern.substr(0, pattern.find('*'));
  if (head.size() == pattern.size()) return pattern == name;
  if (!name.starts_with(head)) return false;
  name.remove_prefix(head.size());
  pattern.remove_prefix(head.size());
  // Between two stars the first place is as good as any: what is left of the name is longest.
  for (;;) {
    pattern.remove_prefix(1);  // the star
    const size_t next = pattern.find('*');
    if (next == std::string_view::npos) return name.ends_with(pattern);
    const size_t place = name.find(pattern.substr(0, next));
    if (place == std::string_view::npos) return false;
    name.remove_prefix(place + next);
    pattern.remove_prefix(next);
  }
}

}  // namespace foreplan

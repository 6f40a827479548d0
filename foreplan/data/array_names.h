// Which arrays of a file hold transitions, by their names.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace foreplan {

inline constexpr std::array<std::string_view, 5> kObservationNames = {"observations", "observation",
                                                                      "obs", "states", "state"};
inline constexpr std::array<std::string_view, 2> kActionNames = {"actions", "action"};
inline constexpr std::array<std::string_view, 4> kNextNames = {
    "next_observations", "next_observation", "next_obs", "next_states"};
inline constexpr std::array<std::string_view, 4> kEpisodeNames = {"episode", "episodes",
                                                                  "episode_id", "episode_ids"};
/// Flags: the row is the last of its episode.
inline constexpr std::array<std::string_view, 12> kEndNames = {
    "terminations", "terminated", "terminals", "terminal", "dones",       "done",
    "truncations",  "truncated",  "timeouts",  "timeout",  "is_terminal", "is_last"};

inline bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// "episode_3/" of "episode_3/observations"; "" at the top.
inline std::string_view GroupName(std::string_view name) {
  return name.substr(0, name.rfind('/') + 1);
}
/// "observations" of "episode_3/observations".
inline std::string_view BaseName(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// In a group of its episode, as in files of Minari.
inline bool IsInEpisode(std::string_view name) {
  const size_t slash = name.find('/');
  return name.starts_with("episode_") && slash != std::string_view::npos &&
         name.rfind('/') == slash;
}

/// What is read of a file: at the top, or in a group per episode.
inline bool HoldsTransitions(std::string_view name) {
  const std::string_view base = BaseName(name);
  if (IsInEpisode(name)) return IsOneOf(kObservationNames, base) || IsOneOf(kActionNames, base);
  if (name.find('/') != std::string_view::npos) return false;
  return IsOneOf(kObservationNames, name) || IsOneOf(kActionNames, name) ||
         IsOneOf(kNextNames, name) || IsOneOf(kEpisodeNames, name) || IsOneOf(kEndNames, name);
}

}  // namespace foreplan

// Which arrays of a file hold transitions, by their names.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "foreplan/data/transition.h"

namespace foreplan {

inline constexpr std::array<std::string_view, 5> kObservationNames = {"observations", "observation",
                                                                      "obs", "states", "state"};
inline constexpr std::array<std::string_view, 2> kActionNames = {"actions", "action"};
inline constexpr std::array<std::string_view, 4> kNextNames = {
    "next_observations", "next_observation", "next_obs", "next_states"};
inline constexpr std::array<std::string_view, 4> kEpisodeNames = {"episode", "episodes",
                                                                  "episode_id", "episode_ids"};
inline constexpr std::array<std::string_view, 2> kRewardNames = {"rewards", "reward"};
/// Times of rows [s].
inline constexpr std::array<std::string_view, 2> kTimeArrayNames = {"time", "times"};
/// Flags: the row is the last of its episode, and how it ended.
inline constexpr std::array<std::string_view, 5> kTerminatedNames = {
    "terminations", "terminated", "terminals", "terminal", "is_terminal"};
inline constexpr std::array<std::string_view, 5> kTruncatedNames = {
    "truncations", "truncated", "timeouts", "timeout", "is_last"};
/// An end of either kind.
inline constexpr std::array<std::string_view, 2> kDoneNames = {"dones", "done"};

inline bool IsOneOf(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

inline bool IsEndName(std::string_view name) {
  return IsOneOf(kTerminatedNames, name) || IsOneOf(kTruncatedNames, name) ||
         IsOneOf(kDoneNames, name);
}

/// How a row ends, flag by flag.
class FlaggedEnd {
 public:
  /// A flag of that name, in lower case, is set.
  void Set(std::string_view name) {
    terminated_ |= IsOneOf(kTerminatedNames, name);
    truncated_ |= IsOneOf(kTruncatedNames, name);
    done_ |= IsOneOf(kDoneNames, name);
  }
  /// A termination is one beside a truncation, too; `done` alone is a termination, and says
  /// nothing beside a truncation.
  [[nodiscard]] StepEnd end() const {
    if (terminated_ || (done_ && !truncated_)) return StepEnd::kTerminated;
    return truncated_ ? StepEnd::kTruncated : StepEnd::kContinues;
  }

 private:
  bool terminated_ = false;
  bool truncated_ = false;
  bool done_ = false;
};

/// "episode_3/" of "episode_3/observations"; "" at the top.
inline std::string_view GroupName(std::string_view name) {
  return name.substr(0, name.rfind('/') + 1);
}
/// "observations" of "episode_3/observations".
inline std::string_view BaseName(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// The parts of "episode_3/observations/arm/angle".
struct ArrayPath {
  std::string_view episode;  // "episode_3/", as in files of Minari; "" at the top
  std::string_view role;     // "observations"
  std::string_view inside;   // "arm/angle": its place in a dictionary; "": it is none
};

inline ArrayPath PathOf(std::string_view name) {
  ArrayPath path;
  size_t slash = name.find('/');
  if (slash != std::string_view::npos && name.starts_with("episode_")) {
    path.episode = name.substr(0, slash + 1);
    name.remove_prefix(slash + 1);
    slash = name.find('/');
  }
  path.role = name.substr(0, slash);
  if (slash != std::string_view::npos) path.inside = name.substr(slash + 1);
  return path;
}

/// What may be a dictionary of arrays.
inline bool IsSpaceName(std::string_view role) {
  return IsOneOf(kObservationNames, role) || IsOneOf(kActionNames, role) ||
         IsOneOf(kNextNames, role);
}

/// The array, or the dictionary that it is in, has that path: at the top, or in its episode.
inline bool IsAt(std::string_view name, std::string_view path) {
  const std::string_view rest = name.substr(PathOf(name).episode.size());
  return rest.starts_with(path) && (rest.size() == path.size() || rest[path.size()] == '/');
}

/// What is read of a file: at the top, or in a group per episode; and `others`, which the user
/// calls otherwise.
inline bool HoldsTransitions(std::string_view name, std::span<const std::string> others = {}) {
  if (std::ranges::any_of(others, [&](const auto& path) { return IsAt(name, path); })) return true;
  const ArrayPath path = PathOf(name);
  if (!path.inside.empty()) return IsSpaceName(path.role);
  const bool is_step = IsOneOf(kObservationNames, path.role) || IsOneOf(kActionNames, path.role) ||
                       IsOneOf(kRewardNames, path.role) || IsEndName(path.role);
  if (!path.episode.empty()) return is_step;
  return is_step || IsOneOf(kNextNames, path.role) || IsOneOf(kEpisodeNames, path.role) ||
         IsOneOf(kTimeArrayNames, path.role);
}

}  // namespace foreplan

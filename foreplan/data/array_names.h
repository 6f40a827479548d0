// Which arrays of a file hold transitions, by their names.
#pragma once

#include <algorithm>
#include <array>
#include <span>
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

/// In a group of its episode, as in files of Minari.
inline bool IsInEpisode(std::string_view name) {
  const size_t slash = name.find('/');
  return name.starts_with("episode_") && slash != std::string_view::npos &&
         name.rfind('/') == slash;
}

/// What is read of a file: at the top, or in a group per episode.
inline bool HoldsTransitions(std::string_view name) {
  const std::string_view base = BaseName(name);
  const bool is_step = IsOneOf(kObservationNames, base) || IsOneOf(kActionNames, base) ||
                       IsOneOf(kRewardNames, base) || IsEndName(base);
  if (IsInEpisode(name)) return is_step;
  if (name.find('/') != std::string_view::npos) return false;
  return is_step || IsOneOf(kNextNames, name) || IsOneOf(kEpisodeNames, name);
}

}  // namespace foreplan

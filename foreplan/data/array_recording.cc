#include "foreplan/data/array_recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/array_names.h"

namespace foreplan {
namespace {

std::vector<std::string> Numbered(const std::string& prefix, size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(fmt::format("{}_{}", prefix, i));
  return names;
}

/// What a file says of the steps besides their observations and actions.
struct Outcomes {
  const NamedArray* rewards = nullptr;   // null: not known
  std::vector<const NamedArray*> flags;  // of rows that end an episode

  [[nodiscard]] std::vector<const NamedArray*> arrays() const {
    std::vector<const NamedArray*> all = flags;
    if (rewards != nullptr) all.push_back(rewards);
    return all;
  }
  [[nodiscard]] double reward(size_t row) const {
    return rewards != nullptr ? rewards->values[row] : std::numeric_limits<double>::quiet_NaN();
  }
  [[nodiscard]] StepEnd end(size_t row) const {
    FlaggedEnd end;
    for (const NamedArray* flag : flags) {
      if (flag->values[row] != 0) end.Set(BaseName(flag->name));
    }
    return end.end();
  }
  [[nodiscard]] bool ends(size_t row) const { return end(row) != StepEnd::kContinues; }
};

class ArrayReader {
 public:
  ArrayReader(const std::string& source, std::vector<NamedArray> arrays,
              const RecordingColumns& columns)
      : source_(source), arrays_(std::move(arrays)), columns_(columns) {
    for (NamedArray& array : arrays_) {
      if (array.shape.size() == 1) array.shape.push_back(1);
      auto [group, is_new] = groups_.try_emplace(std::string(GroupName(array.name)));
      group->second.push_back(&array);
      if (is_new && IsInEpisode(array.name)) episodes_.push_back(group->first);
    }
  }

  Recording Read() const { return episodes_.empty() ? ReadFlat() : ReadEpisodes(); }

 private:
  [[nodiscard]] InputError Wrong(const NamedArray& array, std::string_view expected) const {
    return InputError(fmt::format("{}: {}: found shape [{}], expected {}", source_, array.name,
                                  fmt::join(array.shape, " x "), expected));
  }

  using Names = std::span<const std::string_view>;

  [[nodiscard]] const NamedArray* Find(Names names, const std::string& group = "") const {
    const auto arrays = groups_.find(group);
    if (arrays == groups_.end()) return nullptr;
    const NamedArray* found = nullptr;
    for (const NamedArray* array : arrays->second) {
      if (!IsOneOf(names, BaseName(array->name))) continue;
      if (found != nullptr) {
        throw InputError(fmt::format("{}: found '{}' and '{}', expected one of them", source_,
                                     found->name, array->name));
      }
      found = array;
    }
    return found;
  }

  [[nodiscard]] const NamedArray& Need(Names names, const std::string& group = "") const {
    const NamedArray* array = Find(names, group);
    if (array != nullptr) return *array;
    throw InputError(
        fmt::format("{}: found no array '{}{}', expected one", source_, group, names.front()));
  }

  /// An array of `columns` numbers in each row of its last dimension.
  void CheckColumns(const NamedArray& array, size_t columns) const {
    if (static_cast<size_t>(array.shape.back()) == columns) return;
    throw Wrong(array, fmt::format("{} in the last dimension", columns));
  }

  void CheckNumbers(const NamedArray& array) const {
    const auto columns = static_cast<size_t>(array.shape.back());
    for (size_t i = 0; i < array.values.size(); ++i) {
      if (std::abs(array.values[i]) <= kLargestNumber) continue;
      throw InputError(fmt::format(
          "{}: {}: row {}, column {}: found {}, expected a number up to {:g} in size", source_,
          array.name, i / columns, i % columns, array.values[i], kLargestNumber));
    }
  }

  Recording Begin(const NamedArray& observations, const NamedArray& actions) const {
    const auto no = static_cast<size_t>(observations.shape.back());
    const auto nu = static_cast<size_t>(actions.shape.back());
    if (no == 0) throw Wrong(observations, "some numbers in the last dimension");
    if (nu == 0) throw Wrong(actions, "some numbers in the last dimension");
    if (!columns_.observation.empty()) CheckColumns(observations, columns_.observation.size());
    if (!columns_.action.empty()) CheckColumns(actions, columns_.action.size());
    return Recording(
        columns_.observation.empty() ? Numbered("observation", no) : columns_.observation,
        columns_.action.empty() ? Numbered("action", nu) : columns_.action);
  }

  /// `steps` transitions from one row of observations to the next; what is known of them stands
  /// from row `first` of `outcomes` on.
  static void AddTrajectory(const double* observation, const double* action, size_t steps,
                            int episode, const Outcomes& outcomes, size_t first,
                            Recording& recording) {
    recording.place_unit = "step";
    const auto no = static_cast<size_t>(recording.data.observation_dim());
    const auto nu = static_cast<size_t>(recording.data.action_dim());
    for (size_t t = 0; t < steps; ++t) {
      recording.Add({.observation = {observation + t * no, no},
                     .action = {action + t * nu, nu},
                     .next_observation = {observation + (t + 1) * no, no},
                     .episode = episode,
                     .reward = outcomes.reward(first + t),
                     .end = outcomes.end(first + t)},
                    static_cast<int64_t>(t));
    }
  }

  void CheckTrajectory(const NamedArray& observations, const NamedArray& actions) const {
    if (actions.shape.size() != 2) throw Wrong(actions, "[steps x actions]");
    if (observations.shape.size() != 2 || observations.shape[0] != actions.shape[0] + 1) {
      throw Wrong(observations, fmt::format("[{} x observations], one row more than '{}'",
                                            actions.shape[0] + 1, actions.name));
    }
  }

  Recording ReadEpisodes() const {
    std::optional<Recording> recording;
    int episode = 0;
    for (const std::string& group : episodes_) {
      const NamedArray& observations = Need(kObservationNames, group);
      const NamedArray& actions = Need(kActionNames, group);
      if (!recording) recording = Begin(observations, actions);
      CheckColumns(observations, recording->observation.size());
      CheckColumns(actions, recording->action.size());
      CheckTrajectory(observations, actions);
      CheckNumbers(observations);
      CheckNumbers(actions);
      const auto steps = static_cast<size_t>(actions.shape[0]);
      const Outcomes outcomes = OutcomesOf(group);
      for (const NamedArray* array : outcomes.arrays()) {
        if (array->values.size() != steps) {
          throw Wrong(*array, fmt::format("{} rows, as '{}' has", steps, actions.name));
        }
      }
      if (steps == 0) {
        recording->notes.push_back(fmt::format("{} has no steps and was left out", group));
        continue;
      }
      AddTrajectory(observations.values.data(), actions.values.data(), steps, ++episode, outcomes,
                    0, *recording);
    }
    return std::move(*recording);
  }

  Recording ReadFlat() const {
    const NamedArray& observations = Need(kObservationNames);
    const NamedArray& actions = Need(kActionNames);
    Recording recording = Begin(observations, actions);
    CheckNumbers(observations);
    CheckNumbers(actions);
    if (observations.shape.size() == 3) {
      AddStack(observations, actions, recording);
      return recording;
    }
    if (observations.shape.size() != 2 || actions.shape.size() != 2) {
      throw Wrong(observations.shape.size() != 2 ? observations : actions,
                  "[rows x numbers], or [episodes x rows x numbers] of both");
    }
    AddRows(observations, actions, recording);
    return recording;
  }

  /// Rewards and flags of a group; several kinds of flags may stand beside each other.
  [[nodiscard]] Outcomes OutcomesOf(const std::string& group) const {
    Outcomes outcomes{Find(kRewardNames, group), {}};
    if (outcomes.rewards != nullptr) CheckNumbers(*outcomes.rewards);
    const auto arrays = groups_.find(group);
    if (arrays == groups_.end()) return outcomes;
    for (const NamedArray* array : arrays->second) {
      if (!IsEndName(BaseName(array->name))) continue;
      outcomes.flags.push_back(array);
      for (size_t i = 0; i < array->values.size(); ++i) {
        if (array->values[i] == 0 || array->values[i] == 1) continue;
        throw InputError(fmt::format("{}: {}: row {}: found {}, expected 0 or 1", source_,
                                     array->name, i, array->values[i]));
      }
    }
    return outcomes;
  }

  void AddStack(const NamedArray& observations, const NamedArray& actions,
                Recording& recording) const {
    if (actions.shape.size() != 3 || actions.shape[0] != observations.shape[0] ||
        actions.shape[1] + 1 != observations.shape[1]) {
      throw Wrong(actions,
                  fmt::format("[{} x {} x actions], one row less than '{}' in each episode",
                              observations.shape[0], observations.shape[1] - 1, observations.name));
    }
    const auto episodes = static_cast<size_t>(actions.shape[0]);
    const auto steps = static_cast<size_t>(actions.shape[1]);
    const Outcomes outcomes = OutcomesOf("");
    for (const NamedArray* array : outcomes.arrays()) {
      if (array->values.size() != episodes * steps || array->shape[0] != actions.shape[0]) {
        throw Wrong(*array, fmt::format("[{} x {}], as '{}' has", episodes, steps, actions.name));
      }
    }
    for (size_t e = 0; e < episodes; ++e) {
      size_t length = 0;  // what stands behind the end of an episode fills the array
      while (length < steps && (length == 0 || !outcomes.ends(e * steps + length - 1))) ++length;
      AddTrajectory(observations.values.data() + e * (steps + 1) * recording.observation.size(),
                    actions.values.data() + e * steps * recording.action.size(), length,
                    static_cast<int>(e) + 1, outcomes, e * steps, recording);
    }
  }

  /// One row per step; where an episode ends is said by its number or by flags.
  void AddRows(const NamedArray& observations, const NamedArray& actions,
               Recording& recording) const {
    const NamedArray* next = Find(kNextNames);
    const NamedArray* episodes = Find(kEpisodeNames);
    const Outcomes outcomes = OutcomesOf("");
    // One observation more than actions: the last step has its next observation, too.
    const bool one_more = next == nullptr && observations.shape[0] == actions.shape[0] + 1;
    const int64_t rows = one_more ? actions.shape[0] : observations.shape[0];
    std::vector<const NamedArray*> all = outcomes.arrays();
    for (const NamedArray* array : {&actions, next, episodes}) {
      if (array != nullptr) all.push_back(array);
    }
    for (const NamedArray* array : all) {
      if (array->shape.size() != 2 || array->shape[0] != rows) {
        throw Wrong(*array, fmt::format("{} rows, as '{}' has", rows,
                                        one_more ? actions.name : observations.name));
      }
    }
    if (next != nullptr) {
      CheckColumns(*next, recording.observation.size());
      CheckNumbers(*next);
    }
    if (episodes != nullptr) {
      CheckColumns(*episodes, 1);
      CheckNumbers(*episodes);
    }
    for (const NamedArray* array : outcomes.arrays()) CheckColumns(*array, 1);
    const auto no = recording.observation.size();
    const auto nu = recording.action.size();
    int episode = 0;
    bool fresh = true;  // the next transition is the first of its episode
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      const bool at_end = row + 1 == static_cast<size_t>(rows);
      const bool last = at_end || outcomes.ends(row) ||
                        (episodes != nullptr && episodes->values[row] != episodes->values[row + 1]);
      if (next != nullptr || !last || (at_end && one_more)) {
        if (fresh) ++episode;
        fresh = false;
        const double* after = next != nullptr ? next->values.data() + row * no
                                              : observations.values.data() + (row + 1) * no;
        recording.Add({.observation = {observations.values.data() + row * no, no},
                       .action = {actions.values.data() + row * nu, nu},
                       .next_observation = {after, no},
                       .episode = episode,
                       .reward = outcomes.reward(row),
                       .end = outcomes.end(row)},
                      static_cast<int64_t>(row));
      }
      if (last) fresh = true;
    }
  }

  const std::string& source_;
  std::vector<NamedArray> arrays_;
  const RecordingColumns& columns_;
  std::map<std::string, std::vector<const NamedArray*>> groups_;  // "" at the top
  std::vector<std::string> episodes_;                             // groups, in the file's order
};

}  // namespace

Recording ReadArrayRecording(const std::string& source, std::vector<NamedArray> arrays,
                             const RecordingColumns& columns) {
  return ArrayReader(source, std::move(arrays), columns).Read();
}

}  // namespace foreplan

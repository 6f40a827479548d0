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
#include "foreplan/data/array_dictionaries.h"
#include "foreplan/data/array_names.h"
#include "foreplan/data/cell_clock.h"
#include "foreplan/data/log_rows.h"
#include "foreplan/data/log_times.h"

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
              const RecordingColumns& columns, const LogOptions& options)
      : source_(source), arrays_(std::move(arrays)), columns_(columns), options_(options) {
    for (NamedArray& array : arrays_) {
      if (array.shape.size() == 1) array.shape.push_back(1);
      auto [group, is_new] = groups_.try_emplace(std::string(GroupName(array.name)));
      group->second.push_back(&array);
      if (is_new && !PathOf(array.name).episode.empty()) episodes_.push_back(group->first);
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

  /// Arrays of one row per step, which AddRows reads.
  struct RowArrays {
    const NamedArray* next = nullptr;
    const NamedArray* episodes = nullptr;
    const NamedArray* times = nullptr;
    Outcomes outcomes;
  };

  /// One row per step; where an episode ends is said by its number, by flags or by times.
  void AddRows(const NamedArray& observations, const NamedArray& actions,
               Recording& recording) const {
    const RowArrays arrays{Find(kNextNames), Find(kEpisodeNames), Find(kTimeArrayNames),
                           OutcomesOf("")};
    // One observation more than actions: the last step has its next observation, too.
    const bool one_more = arrays.next == nullptr && observations.shape[0] == actions.shape[0] + 1;
    const int64_t steps = one_more ? actions.shape[0] : observations.shape[0];
    CheckRows(arrays, actions, steps, one_more ? actions : observations, recording);
    const bool has_times = arrays.next == nullptr && arrays.times != nullptr &&
                           arrays.times->shape[0] >= steps && arrays.times->shape[1] == 1 &&
                           arrays.times->shape[0] <= observations.shape[0];
    std::vector<LogRow> rows(static_cast<size_t>(observations.shape[0]));
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].observation = observations.values.data() + i * recording.observation.size();
      rows[i].place = static_cast<int64_t>(i);
      if (i < static_cast<size_t>(steps)) {
        rows[i].action = actions.values.data() + i * recording.action.size();
        rows[i].reward = arrays.outcomes.reward(i);
        rows[i].end = arrays.outcomes.end(i);
        const bool is_other = i > 0 && arrays.episodes != nullptr &&
                              arrays.episodes->values[i] != arrays.episodes->values[i - 1];
        rows[i].begins = is_other || (i > 0 && rows[i - 1].end != StepEnd::kContinues);
      }
      if (arrays.next != nullptr) {
        rows[i].next = arrays.next->values.data() + i * recording.observation.size();
      }
    }
    if (has_times) Divide(*arrays.times, arrays.episodes == nullptr, rows, recording);
    AddTransitions(rows, has_times, recording);
  }

  void CheckRows(const RowArrays& arrays, const NamedArray& actions, int64_t rows,
                 const NamedArray& like, const Recording& recording) const {
    std::vector<const NamedArray*> all = arrays.outcomes.arrays();
    for (const NamedArray* array : {&actions, arrays.next, arrays.episodes}) {
      if (array != nullptr) all.push_back(array);
    }
    for (const NamedArray* array : all) {
      if (array->shape.size() != 2 || array->shape[0] != rows) {
        throw Wrong(*array, fmt::format("{} rows, as '{}' has", rows, like.name));
      }
    }
    if (arrays.next != nullptr) {
      CheckColumns(*arrays.next, recording.observation.size());
      CheckNumbers(*arrays.next);
    }
    if (arrays.episodes != nullptr) {
      CheckColumns(*arrays.episodes, 1);
      CheckNumbers(*arrays.episodes);
    }
    for (const NamedArray* array : arrays.outcomes.arrays()) CheckColumns(*array, 1);
  }

  /// By times; of one observation more than times the last is a step behind.
  void Divide(const NamedArray& times, bool divides, std::vector<LogRow>& rows,
              Recording& recording) const {
    const CellClock clock(options_.time_unit.empty() ? 1 : SecondsOfTimeUnit(options_.time_unit));
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i < times.values.size()) {
        rows[i].time = clock.Seconds(times.values[i]);
      } else {
        rows[i].time = i < 2 ? 0 : 2 * rows[i - 1].time - rows[i - 2].time;
      }
    }
    const LogClock log_clock{
        .name = times.name,
        .in_seconds = true,
        .divides = divides,
        .period = columns_.dt,
        .wrong = [&](const LogRow& row, std::string_view found, std::string_view expected) {
          return InputError(fmt::format("{}: {}: row {}: found {}, expected {}", source_,
                                        times.name, row.place, found, expected));
        }};
    DivideByTime(log_clock, options_, rows, recording);
  }

  const std::string& source_;
  std::vector<NamedArray> arrays_;
  const RecordingColumns& columns_;
  const LogOptions& options_;
  std::map<std::string, std::vector<const NamedArray*>> groups_;  // "" at the top
  std::vector<std::string> episodes_;                             // groups, in the file's order
};

/// Columns of the arrays of those roles, in that order.
void Choose(std::span<const std::string_view> roles, const std::vector<size_t>& columns,
            std::vector<NamedArray>& arrays) {
  for (NamedArray& array : arrays) {
    if (!IsOneOf(roles, BaseName(array.name))) continue;
    const auto width = static_cast<size_t>(array.shape.back());
    if (columns.empty() || width <= std::ranges::max(columns)) continue;  // refused later
    std::vector<double> chosen;
    for (size_t begin = 0; begin + width <= array.values.size(); begin += width) {
      for (const size_t column : columns) chosen.push_back(array.values[begin + column]);
    }
    array.values = std::move(chosen);
    array.shape.back() = std::ssize(columns);
  }
}

/// Chooses components by the names that dictionaries give them, or takes all of them.
void ChooseByName(const std::vector<std::string>& names, std::span<const std::string_view> roles,
                  std::vector<std::string>& wanted, std::vector<NamedArray>& arrays) {
  if (names.empty()) return;
  std::vector<size_t> columns;
  for (const std::string& name : wanted) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return;  // names of the user's own
    columns.push_back(static_cast<size_t>(found - names.begin()));
  }
  if (wanted.empty()) {
    wanted = names;
  } else {
    Choose(roles, columns, arrays);
  }
}

/// What the user calls otherwise and is no array is a component.
void RenameComponents(const std::string& source, const std::vector<NewName>& renames,
                      const std::vector<bool>& is_used, Recording& recording) {
  for (size_t i = 0; i < renames.size(); ++i) {
    if (is_used[i]) continue;
    const auto& [name, old] = renames[i];
    std::vector<std::string> known = recording.observation;
    known.insert(known.end(), recording.action.begin(), recording.action.end());
    if (std::ranges::find(known, old) == known.end()) {
      throw UnknownName(fmt::format("{}: --rename {}={}", source, name, old), "array or component",
                        old, known);
    }
    if (std::ranges::find(known, name) != known.end()) {
      throw InputError(
          fmt::format("{}: --rename {}={}: found a component '{}' already, expected "
                      "another name",
                      source, name, old, name));
    }
    std::ranges::replace(recording.observation, old, name);
    std::ranges::replace(recording.action, old, name);
  }
}

}  // namespace

Recording ReadArrayRecording(const std::string& source, std::vector<NamedArray> arrays,
                             const RecordingColumns& columns, const LogOptions& options) {
  std::vector<bool> is_renamed;
  RenameArrays(options.renames, arrays, is_renamed);
  FlatArrays flat = FlattenDictionaries(source, std::move(arrays));
  RecordingColumns wanted = columns;
  ChooseByName(flat.observation, kObservationNames, wanted.observation, flat.arrays);
  ChooseByName(flat.observation, kNextNames, wanted.observation, flat.arrays);
  ChooseByName(flat.action, kActionNames, wanted.action, flat.arrays);
  Recording recording = ArrayReader(source, std::move(flat.arrays), wanted, options).Read();
  RenameComponents(source, options.renames, is_renamed, recording);
  return recording;
}

}  // namespace foreplan

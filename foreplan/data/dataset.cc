#include "foreplan/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <variant>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

void CheckSize(std::string_view what, size_t found, int expected) {
  if (found == static_cast<size_t>(expected)) return;
  throw InputError(
      fmt::format("dataset: found {} of {} values, expected {}", what, found, expected));
}

std::span<const double> Row(const std::vector<double>& values, int64_t row, int columns) {
  return std::span(values).subspan(static_cast<size_t>(row * columns),
                                   static_cast<size_t>(columns));
}

template <typename T>
std::vector<T> RowsFrom(const std::vector<T>& values, int64_t row, int columns) {
  return {values.begin() + row * columns, values.end()};
}

void CheckFinite(const std::string& source, const char* tensor, const std::vector<double>& values,
                 int columns) {
  const auto bad = std::ranges::find_if_not(values, [](double x) { return std::isfinite(x); });
  if (bad == values.end()) return;
  const auto place = bad - values.begin();
  throw InputError(fmt::format("{}: {}: row {}, column {}: found {}, expected a finite number",
                               source, tensor, place / columns, place % columns, *bad));
}

constexpr const char* kFirstRow = "data.first_row";
constexpr const char* kReward = "data.reward";
constexpr const char* kEnd = "data.end";

/// Ends of a file, which holds their numbers.
std::vector<StepEnd> Ends(const TensorFile& file, std::span<const int64_t> shape) {
  std::vector<StepEnd> ends;
  for (const int32_t number : file.Ints(kEnd, shape)) {
    if (number < 0 || number > static_cast<int32_t>(StepEnd::kTruncated)) {
      throw InputError(fmt::format(
          "{}: {}: row {}: found {}, expected 0 (goes on), 1 (terminated) or 2 (truncated)",
          file.source, kEnd, ends.size(), number));
    }
    ends.push_back(static_cast<StepEnd>(number));
  }
  return ends;
}

}  // namespace

Dataset::Dataset(int observation_dim, int action_dim)
    : observation_dim_(observation_dim), action_dim_(action_dim) {
  if (observation_dim < 1 || action_dim < 1) {
    throw InputError(fmt::format("dataset: found {} observations and {} actions, expected some",
                                 observation_dim, action_dim));
  }
}

void Dataset::Add(const Transition& transition) {
  const auto& [observation, action, next_observation, episode, reward, end] = transition;
  CheckSize("observation", observation.size(), observation_dim_);
  CheckSize("action", action.size(), action_dim_);
  CheckSize("next observation", next_observation.size(), observation_dim_);
  observations_.insert(observations_.end(), observation.begin(), observation.end());
  actions_.insert(actions_.end(), action.begin(), action.end());
  next_observations_.insert(next_observations_.end(), next_observation.begin(),
                            next_observation.end());
  episode_.push_back(episode);
  rewards_.push_back(reward);
  ends_.push_back(end);
}

void Dataset::Add(std::span<const double> observation, std::span<const double> action,
                  std::span<const double> next_observation, int episode) {
  Add({.observation = observation,
       .action = action,
       .next_observation = next_observation,
       .episode = episode});
}

void Dataset::EndEpisode(StepEnd end) {
  if (!ends_.empty() && ends_.back() == StepEnd::kContinues) ends_.back() = end;
}

Transition Dataset::transition(int64_t row) const {
  return {.observation = observation(row),
          .action = action(row),
          .next_observation = next_observation(row),
          .episode = episode(row),
          .reward = reward(row),
          .end = end(row)};
}

std::span<const double> Dataset::observation(int64_t row) const {
  return Row(observations_, row, observation_dim_);
}

std::span<const double> Dataset::action(int64_t row) const {
  return Row(actions_, row, action_dim_);
}

std::span<const double> Dataset::next_observation(int64_t row) const {
  return Row(next_observations_, row, observation_dim_);
}

bool Dataset::continues(int64_t row) const {
  return episode(row) == episode(row - 1) &&
         std::ranges::equal(observation(row), next_observation(row - 1));
}

void Dataset::Save(TensorFile& file, int64_t first_row) const {
  const int64_t rows = size() - first_row;
  file.tensors["data.observation"] = {{rows, observation_dim_},
                                      RowsFrom(observations_, first_row, observation_dim_)};
  file.tensors["data.action"] = {{rows, action_dim_}, RowsFrom(actions_, first_row, action_dim_)};
  file.tensors["data.next_observation"] = {
      {rows, observation_dim_}, RowsFrom(next_observations_, first_row, observation_dim_)};
  file.tensors["data.episode"] = {{rows}, RowsFrom(episode_, first_row, 1)};
  file.tensors[kReward] = {{rows}, RowsFrom(rewards_, first_row, 1)};
  file.tensors[kEnd] = {{rows}, std::vector<int32_t>(rows)};
  std::ranges::transform(ends_.begin() + first_row, ends_.end(),
                         std::get<std::vector<int32_t>>(file.tensors[kEnd].values).begin(),
                         [](StepEnd end) { return static_cast<int32_t>(end); });
  file.metadata[kFirstRow] = fmt::format("{}", first_row);
}

void Dataset::Restore(const TensorFile& file) { *this = Saved(file); }

void Dataset::Append(const TensorFile& file) {
  const auto found = file.metadata.find(kFirstRow);
  const std::string first = found == file.metadata.end() ? "nothing" : found->second;
  if (first != fmt::format("{}", size())) {
    throw InputError(fmt::format("{}: metadata '{}': found {}, expected {}, the rows before it",
                                 file.source, kFirstRow, first.substr(0, 20), size()));
  }
  const Dataset more = Saved(file);
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(observations_, more.observations_);
  append(actions_, more.actions_);
  append(next_observations_, more.next_observations_);
  append(episode_, more.episode_);
  append(rewards_, more.rewards_);
  append(ends_, more.ends_);
}

/// What the file holds, as a data set of these dimensions.
Dataset Dataset::Saved(const TensorFile& file) const {
  const std::array<int64_t, 1> any = {-1};
  Dataset saved(observation_dim_, action_dim_);
  saved.episode_ = file.Ints("data.episode", any);
  const auto matrix = [&](const char* name, int columns) {
    const std::array<int64_t, 2> shape = {saved.size(), columns};
    std::vector<double> values = file.Doubles(name, shape);
    CheckFinite(file.source, name, values, columns);
    return values;
  };
  saved.observations_ = matrix("data.observation", observation_dim_);
  saved.actions_ = matrix("data.action", action_dim_);
  saved.next_observations_ = matrix("data.next_observation", observation_dim_);
  const std::array<int64_t, 1> rows = {saved.size()};
  const auto count = static_cast<size_t>(saved.size());
  // Files of earlier versions have neither.
  saved.rewards_ = file.tensors.contains(kReward)
                       ? file.Doubles(kReward, rows)
                       : std::vector<double>(count, std::numeric_limits<double>::quiet_NaN());
  saved.ends_ = file.tensors.contains(kEnd) ? Ends(file, rows) : std::vector<StepEnd>(count);
  return saved;
}

}  // namespace foreplan

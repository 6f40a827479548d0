#include "foreplan/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

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

}  // namespace

Dataset::Dataset(int observation_dim, int action_dim)
    : observation_dim_(observation_dim), action_dim_(action_dim) {
  if (observation_dim < 1 || action_dim < 1) {
    throw InputError(fmt::format("dataset: found {} observations and {} actions, expected some",
                                 observation_dim, action_dim));
  }
}

void Dataset::Add(std::span<const double> observation, std::span<const double> action,
                  std::span<const double> next_observation, int episode) {
  CheckSize("observation", observation.size(), observation_dim_);
  CheckSize("action", action.size(), action_dim_);
  CheckSize("next observation", next_observation.size(), observation_dim_);
  observations_.insert(observations_.end(), observation.begin(), observation.end());
  actions_.insert(actions_.end(), action.begin(), action.end());
  next_observations_.insert(next_observations_.end(), next_observation.begin(),
                            next_observation.end());
  episode_.push_back(episode);
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

void Dataset::Save(TensorFile& file) const {
  file.tensors["data.observation"] = {{size(), observation_dim_}, observations_};
  file.tensors["data.action"] = {{size(), action_dim_}, actions_};
  file.tensors["data.next_observation"] = {{size(), observation_dim_}, next_observations_};
  file.tensors["data.episode"] = {{size()}, episode_};
}

void Dataset::Restore(const TensorFile& file) {
  const std::array<int64_t, 1> any = {-1};
  std::vector<int32_t> episode = file.Ints("data.episode", any);
  const auto rows = static_cast<int64_t>(episode.size());
  const std::array<int64_t, 2> observations = {rows, observation_dim_};
  const std::array<int64_t, 2> actions = {rows, action_dim_};
  std::vector<double> observation = file.Doubles("data.observation", observations);
  std::vector<double> action = file.Doubles("data.action", actions);
  std::vector<double> next_observation = file.Doubles("data.next_observation", observations);
  observations_ = std::move(observation);
  actions_ = std::move(action);
  next_observations_ = std::move(next_observation);
  episode_ = std::move(episode);
}

}  // namespace foreplan

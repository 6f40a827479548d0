#include "foreplan/models/rewards/transition_features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

FeatureMap OfNextObservation(EnvironmentSpec spec, const Encoding& encoding) {
  spec.action.clear();
  Encoding of_angles;
  of_angles.sin_cos = encoding.sin_cos;
  return FeatureMap(spec, of_angles);
}

std::vector<size_t> OmittedDifferences(const EnvironmentSpec& spec, const Encoding& encoding) {
  const auto holds = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  std::vector<size_t> components;
  for (size_t i = 0; i < spec.observation.size(); ++i) {
    const std::string& name = spec.observation[i].name;
    if (holds(encoding.omit, name) && !holds(encoding.absolute, name)) components.push_back(i);
  }
  return components;
}

}  // namespace

TransitionFeatures::TransitionFeatures(const EnvironmentSpec& spec, const Encoding& encoding)
    : before_(spec, encoding),
      after_(OfNextObservation(spec, encoding)),
      changes_(OmittedDifferences(spec, encoding)) {}

int TransitionFeatures::inputs() const {
  return before_.inputs() + after_.inputs() + static_cast<int>(changes_.size());
}

void TransitionFeatures::Input(const double* observation, const double* action,
                               const double* next_observation, double* input) const {
  before_.Input(observation, action, input);
  input += before_.inputs();
  after_.Input(next_observation, nullptr, input);
  input += after_.inputs();
  for (const size_t i : changes_) {
    *input++ = before_.difference()(i, next_observation[i], observation[i]);
  }
}

void TransitionFeatures::PullBack(const double* observation, const double* action,
                                  const double* next_observation, const double* by_input,
                                  double* by_transition, double* expression_jacobian) const {
  double* by_observation = by_transition;
  double* by_action = by_observation + observation_dim();
  double* by_next = by_action + action_dim();
  before_.ExpressionJacobian(observation, action, expression_jacobian);
  before_.PullBack(observation, expression_jacobian, by_input, by_observation, by_action);
  by_input += before_.inputs();
  after_.PullBack(next_observation, nullptr, by_input, by_next, nullptr);
  by_input += after_.inputs();
  for (const size_t i : changes_) {
    by_next[i] += *by_input;
    by_observation[i] -= *by_input++;
  }
}

std::vector<double> TransitionFeatures::Deviations(std::span<const double> scale) const {
  const std::vector<double> zero(static_cast<size_t>(variables()));
  std::vector<double> by_transition(zero.size());
  std::vector<double> expression_jacobian(expression_jacobian_size());
  std::vector<double> deviations(zero.size(), std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < scale.size(); ++i) {
    std::vector<double> by_input(scale.size());
    by_input[i] = 1;
    PullBack(zero.data(), zero.data(), zero.data(), by_input.data(), by_transition.data(),
             expression_jacobian.data());
    for (size_t j = 0; j < zero.size(); ++j) {
      const double moves = std::abs(by_transition[j]);
      if (moves > 0 && std::isfinite(moves))
        deviations[j] = std::min(deviations[j], scale[i] / moves);
    }
  }
  std::ranges::replace(deviations, std::numeric_limits<double>::infinity(), 1.0);
  return deviations;
}

void TransitionFeatures::CheckFinite(const Dataset& data) const {
  for (int64_t row = 0; row < data.size(); ++row) {
    try {
      before_.CheckFinite(
          data.observation(row).data(), data.action(row).data(),
          fmt::format("in row {} of the data, of episode {}", row + 1, data.episode(row)));
    } catch (const InputError& error) {
      throw RunError(error.what());
    }
  }
}

}  // namespace foreplan

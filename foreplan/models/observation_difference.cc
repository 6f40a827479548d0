#include "foreplan/models/observation_difference.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace foreplan {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;  // [rad]

}  // namespace

ObservationDifference::ObservationDifference(const EnvironmentSpec& spec,
                                             const Encoding& encoding) {
  for (const Component& component : spec.observation) {
    angle_.push_back(std::ranges::find(encoding.sin_cos, component.name) != encoding.sin_cos.end());
  }
}

Dataset ObservationDifference::Unwrapped(const Dataset& data) const {
  Dataset unwrapped(data.observation_dim(), data.action_dim());
  std::vector<double> from;
  std::vector<double> to;
  std::vector<double> turns(static_cast<size_t>(data.observation_dim()));  // whole ones, added
  for (int64_t row = 0; row < data.size(); ++row) {
    const std::span<const double> observation = data.observation(row);
    const std::span<const double> next = data.next_observation(row);
    from.assign(observation.begin(), observation.end());
    to.assign(next.begin(), next.end());
    if (row == 0 || !data.continues(row)) std::ranges::fill(turns, 0.0);
    for (size_t i = 0; i < to.size(); ++i) {
      const double change = next[i] - observation[i];
      from[i] += kTurn * turns[i];
      if (MayHaveWrapped(observation[i], next[i])) {
        turns[i] += std::round((Wrapped(i, change) - change) / kTurn);
      }
      to[i] += kTurn * turns[i];
    }
    Transition transition = data.transition(row);
    transition.observation = from;
    transition.next_observation = to;
    unwrapped.Add(transition);
  }
  return unwrapped;
}

}  // namespace foreplan

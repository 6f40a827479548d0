// What lies between two observations, where some components are angles.
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "foreplan/data/dataset.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Differences of components; those of angles [rad] are taken within [-pi, pi], so that an angle
/// that is kept within one turn does not seem to jump where it wraps. Changes of one that goes on
/// beyond a turn are taken as they are: it may turn by more than half a turn in a step.
class ObservationDifference {
 public:
  /// No component is an angle.
  ObservationDifference() = default;
  /// Angles are what encoding.sin_cos names; names that are no components are ignored.
  ObservationDifference(const EnvironmentSpec& spec, const Encoding& encoding);

  [[nodiscard]] bool is_angle(size_t component) const {
    return component < angle_.size() && angle_[component];
  }
  /// to - from of that component.
  [[nodiscard]] double operator()(size_t component, double to, double from) const {
    return Wrapped(component, to - from);
  }
  /// Whether one step's jump between them may be a wrap: both are within a turn of 0, up to noise.
  [[nodiscard]] static bool MayHaveWrapped(double from, double to) {
    constexpr double kWithin = 1.05 * 2 * std::numbers::pi;  // [rad]
    return std::abs(from) <= kWithin && std::abs(to) <= kWithin;
  }
  /// The difference that is equal to `difference` but for whole turns.
  [[nodiscard]] double Wrapped(size_t component, double difference) const {
    if (!is_angle(component) || std::abs(difference) <= std::numbers::pi) return difference;
    return std::remainder(difference, 2 * std::numbers::pi);
  }
  /// The same data with angles that go on through whole turns, from where each stretch of rows
  /// without a break begins.
  [[nodiscard]] Dataset Unwrapped(const Dataset& data) const;

 private:
  std::vector<bool> angle_;  // [no]; empty: none
};

}  // namespace foreplan

#include "foreplan/data/quaternions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace foreplan {
namespace {

constexpr size_t kSize = 4;

double Dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

struct SignChanges {
  int64_t count = 0;
  int64_t first = 0;  // transition
};

/// Of the four components from `at` on; none where they are no quaternion.
SignChanges FindSignChanges(const Dataset& data, size_t at) {
  constexpr double kNormTolerance = 1e-3;  // of six digits written, or floats
  // |cos| of half the angle turned in a step: less than 90 degrees.
  const double kNear = std::sqrt(0.5);
  constexpr double kStill = 1e-5;  // 1 - |cos| of half of 0.5 degrees
  SignChanges changes;
  bool turns = false;  // a sign alone is no rotation
  for (int64_t row = 0; row < data.size(); ++row) {
    const auto from = data.observation(row).subspan(at, kSize);
    const auto to = data.next_observation(row).subspan(at, kSize);
    const double cosine = Dot(from, to);
    if (std::abs(Dot(from, from) - 1) > 2 * kNormTolerance ||
        std::abs(Dot(to, to) - 1) > 2 * kNormTolerance || std::abs(cosine) < kNear) {
      return {};
    }
    const auto start = data.observation(0).subspan(at, kSize);
    const double lengths = std::sqrt(Dot(start, start) * Dot(to, to));
    turns = turns || std::abs(Dot(start, to)) < (1 - kStill) * lengths;
    if (cosine > 0) continue;
    if (changes.count == 0) changes.first = row;
    ++changes.count;
  }
  return turns ? changes : SignChanges{};
}

Dataset CarriedOn(const Dataset& data, size_t at) {
  Dataset carried(data.observation_dim(), data.action_dim());
  double sign = 1;
  for (int64_t row = 0; row < data.size(); ++row) {
    std::vector<double> from(data.observation(row).begin(), data.observation(row).end());
    std::vector<double> to(data.next_observation(row).begin(), data.next_observation(row).end());
    const std::span<double> q_from = std::span(from).subspan(at, kSize);
    const std::span<double> q_to = std::span(to).subspan(at, kSize);
    if (row == 0 || !data.continues(row)) sign = 1;
    const double next_sign = Dot(q_from, q_to) < 0 ? -sign : sign;
    for (double& entry : q_from) entry *= sign;
    for (double& entry : q_to) entry *= next_sign;
    sign = next_sign;
    Transition transition = data.transition(row);
    transition.observation = from;
    transition.next_observation = to;
    carried.Add(transition);
  }
  return carried;
}

}  // namespace

void CarryQuaternionsOn(Recording& recording) {
  const size_t no = recording.observation.size();
  for (size_t at = 0; at + kSize <= no;) {
    const SignChanges changes = FindSignChanges(recording.data, at);
    if (changes.count == 0) {
      ++at;
      continue;
    }
    recording.data = CarriedOn(recording.data, at);
    recording.notes.push_back(fmt::format(
        "{} ... {} are a quaternion, whose sign changes {} {} (first behind {}): it was carried on "
        "with one sign, since q and -q are one rotation",
        recording.observation[at], recording.observation[at + kSize - 1], changes.count,
        changes.count == 1 ? "time" : "times", recording.PlaceOf(changes.first)));
    at += kSize;
  }
}

}  // namespace foreplan

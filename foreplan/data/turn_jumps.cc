#include "foreplan/data/turn_jumps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

namespace foreplan {
namespace {

std::optional<TurnJumps> Find(const Dataset& data, size_t component, double turn) {
  constexpr double kRounding = 1.001;  // of values that are written with few digits
  TurnJumps jumps{component, turn, 0, 0};
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (int64_t row = 0; row < data.size(); ++row) {
    const double from = data.observation(row)[component];
    const double to = data.next_observation(row)[component];
    low = std::min({low, from, to});
    high = std::max({high, from, to});
    const double change = std::abs(to - from);
    if (change < 0.25 * turn) continue;
    if (change < 0.75 * turn || high - low > kRounding * turn) return std::nullopt;
    if (jumps.count == 0) jumps.first = row;
    ++jumps.count;
  }
  if (jumps.count == 0 || high - low > kRounding * turn) return std::nullopt;
  return jumps;
}

}  // namespace

std::vector<TurnJumps> FindTurnJumps(const Dataset& data) {
  constexpr std::array kTurns = {2 * std::numbers::pi, 360.0};
  std::vector<TurnJumps> all;
  for (size_t i = 0; i < static_cast<size_t>(data.observation_dim()); ++i) {
    for (const double turn : kTurns) {
      if (const auto jumps = Find(data, i, turn)) all.push_back(*jumps);
    }
  }
  return all;
}

}  // namespace foreplan

#include "foreplan/data/steady_columns.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

namespace foreplan {
namespace {

/// Of every transition; 0 where it differs or is none.
double SteadyChange(const Dataset& data, size_t component) {
  constexpr int64_t kFewest = 8;  // steps: of fewer any three digits may do so
  constexpr double kTolerance = 0.01;
  const auto change = [&](int64_t row) {
    return data.next_observation(row)[component] - data.observation(row)[component];
  };
  if (data.size() < kFewest) return 0;
  const double first = change(0);
  for (int64_t row = 1; row < data.size(); ++row) {
    if (std::abs(change(row) - first) > kTolerance * std::abs(first)) return 0;
  }
  return first;
}

}  // namespace

void NoteSteadyColumns(Recording& recording) {
  for (size_t i = 0; i < recording.observation.size(); ++i) {
    const double change = SteadyChange(recording.data, i);
    if (change == 0) continue;
    const std::string& name = recording.observation[i];
    const std::string remedy =
        recording.place_unit == "line"
            ? fmt::format(
                  "--rename time={} reads it as the time, --rename index={} as a number of "
                  "rows, and --observation names what is observed",
                  name, name)
            : "leave it out of the array of observations";
    recording.notes.push_back(
        fmt::format("{} changes by {:.6g} in every step and is learned so; if it is a clock or a "
                    "counter, {}",
                    name, change, remedy));
  }
}

}  // namespace foreplan

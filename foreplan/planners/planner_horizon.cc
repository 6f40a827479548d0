#include "foreplan/planners/planner_horizon.h"

#include <fmt/format.h>

#include <cmath>

#include "foreplan/core/error.h"

namespace foreplan {

void HorizonOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("horizon_seconds", horizon_seconds, {1e-6, 1e6},
                "every planner looks so far ahead [s]; absent: the horizon in steps of each");
}

std::optional<int> StepsOfHorizonSeconds(const std::string& planner, Config& config) {
  constexpr double kMostSteps = 10000;
  const double seconds = ReadOptions<HorizonOptions>(config, "planner").horizon_seconds;
  const std::string section = "planner." + planner;
  const size_t layer = config.Layer("planner", "horizon_seconds");
  const size_t own = config.Layer(section, "horizon");
  if (layer == 0 || own > layer) return {};
  const std::string where = config.Where("planner", "horizon_seconds");
  if (own == layer) {
    throw InputError(
        fmt::format("{}: found it beside {}.horizon, expected one of them", where, section));
  }
  if (config.dt() == 0) {
    throw InputError(fmt::format(
        "{}: found a time, and no task whose period makes steps of it; expected {}.horizon", where,
        section));
  }
  const double steps = std::round(seconds / config.dt());
  if (steps < 1 || steps > kMostSteps) {
    throw InputError(fmt::format("{}: found {:.12g} s, expected 1 ... {} steps of {:.12g} s", where,
                                 seconds, kMostSteps, config.dt()));
  }
  return static_cast<int>(steps);
}

}  // namespace foreplan

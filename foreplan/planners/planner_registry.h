// Planners of programs, beside those of this library.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "foreplan/core/config.h"
#include "foreplan/planners/planner.h"

namespace foreplan {

/// How a planner is made from its section [planner.<name>], and how that is written as it is in
/// effect.
struct PlannerEntry {
  std::function<std::unique_ptr<Planner>(const std::string& section, Config& config,
                                         const PlanningProblem& problem,
                                         std::optional<int> horizon)>
      make = {};
  std::function<void(const std::string& section, Config& config, ConfigWriter& writer)> write = {};
};

/// Of a planner with nested Options, which have a `horizon`, that is made from (Options,
/// PlanningProblem).
template <typename PlannerType>
[[nodiscard]] PlannerEntry PlannerEntryOf() {
  using Options = typename PlannerType::Options;
  return {.make = [](const std::string& section, Config& config, const PlanningProblem& problem,
                     std::optional<int> horizon) -> std::unique_ptr<Planner> {
            auto options = ReadOptions<Options>(config, section);
            options.horizon = horizon.value_or(options.horizon);
            return std::make_unique<PlannerType>(options, problem);
          },
          .write =
              [](const std::string& section, Config& config, ConfigWriter& writer) {
                auto options = ReadOptions<Options>(config, section);
                writer.Write(section, options);
              }};
}

/// From now on configurations may name that planner. Throws InputError where the name is taken or a
/// function is missing.
void RegisterPlanner(const std::string& name, PlannerEntry entry);

}  // namespace foreplan

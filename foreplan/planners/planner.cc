#include "foreplan/planners/planner.h"

#include "foreplan/core/error.h"
#include "foreplan/planners/cem.h"
#include "foreplan/planners/icem.h"
#include "foreplan/planners/ilqr_planner.h"
#include "foreplan/planners/mppi.h"
#include "foreplan/planners/random_shooting.h"

namespace foreplan {
namespace {

struct Entry {
  std::string name;
  std::unique_ptr<Planner> (*make)(const std::string& section, Config& config,
                                   const PlanningProblem& problem, std::optional<int> horizon);
  void (*write)(const std::string& section, Config& config, ConfigWriter& writer);
};

template <typename PlannerType>
Entry Register(const std::string& name) {
  using Options = typename PlannerType::Options;
  return {name,
          [](const std::string& section, Config& config, const PlanningProblem& problem,
             std::optional<int> horizon) -> std::unique_ptr<Planner> {
            auto options = ReadOptions<Options>(config, section);
            options.horizon = horizon.value_or(options.horizon);
            return std::make_unique<PlannerType>(options, problem);
          },
          [](const std::string& section, Config& config, ConfigWriter& writer) {
            auto options = ReadOptions<Options>(config, section);
            writer.Write(section, options);
          }};
}

// One line per planner.
const std::vector<Entry>& Planners() {
  static const std::vector<Entry> kPlanners = {
      Register<RandomShooting>("random_shooting"),
      Register<Cem>("cem"),
      Register<Icem>("icem"),
      Register<Mppi>("mppi"),
      Register<IlqrPlanner>("ilqr"),
  };
  return kPlanners;
}

const Entry& Find(const std::string& name, const Config& config) {
  for (const Entry& entry : Planners()) {
    if (entry.name == name) return entry;
  }
  throw UnknownName(config.name(), "planner", name, PlannerNames());
}

}  // namespace

std::unique_ptr<Planner> MakePlanner(const std::string& name, Config& config,
                                     const PlanningProblem& problem, std::optional<int> horizon) {
  return Find(name, config).make("planner." + name, config, problem, horizon);
}

void WritePlannerOptions(const std::string& name, Config& config, ConfigWriter& writer) {
  Find(name, config).write("planner." + name, config, writer);
}

std::vector<std::string> PlannerNames() {
  std::vector<std::string> names;
  for (const Entry& entry : Planners()) names.push_back(entry.name);
  return names;
}

}  // namespace foreplan

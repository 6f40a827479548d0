#include "foreplan/planners/planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "foreplan/core/error.h"
#include "foreplan/planners/cem.h"
#include "foreplan/planners/icem.h"
#include "foreplan/planners/ilqr_planner.h"
#include "foreplan/planners/mppi.h"
#include "foreplan/planners/random_shooting.h"
#include "foreplan/policies/linear_gaussian.h"

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

bool PlanningProblem::Take(const ModelVersion& version) {
  const bool is_new =
      version.dynamics != dynamics || (version.reward != nullptr && version.reward != reward);
  dynamics = version.dynamics;
  if (version.reward != nullptr) reward = version.reward;
  return is_new;
}

void Plan::ActionAt(int64_t step, std::span<const double> state, std::span<double> action) const {
  const size_t nu = action.size();
  const auto horizon = nu == 0 ? int64_t{0} : static_cast<int64_t>(actions.size() / nu);
  if (nu == 0 || actions.size() % nu != 0) {
    throw InputError(
        fmt::format("plan: found an action of {} numbers, expected a part of the {} of "
                    "the whole plan",
                    nu, actions.size()));
  }
  if (step < first_step || step >= first_step + horizon) {
    throw InputError(fmt::format("plan: step: found {}, expected {} ... {}", step, first_step,
                                 first_step + horizon - 1));
  }
  const auto t = static_cast<int>(step - first_step);
  if (!feedback) {
    std::copy_n(&actions[static_cast<size_t>(t) * nu], nu, action.begin());
    return;
  }
  const auto expected = feedback->step(t).state.size();
  if (std::ssize(state) != expected) {
    throw InputError(
        fmt::format("plan: state: found {} numbers, expected {}", state.size(), expected));
  }
  feedback->ActMean(t, state, action);
}

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

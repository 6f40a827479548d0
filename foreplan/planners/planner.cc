#include "foreplan/planners/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/registry.h"
#include "foreplan/models/imagination.h"
#include "foreplan/planners/cem.h"
#include "foreplan/planners/icem.h"
#include "foreplan/planners/ilqr_planner.h"
#include "foreplan/planners/mppi.h"
#include "foreplan/planners/planner_horizon.h"
#include "foreplan/planners/planner_registry.h"
#include "foreplan/planners/random_shooting.h"
#include "foreplan/policies/linear_gaussian.h"

namespace foreplan {
namespace {

Registry<PlannerEntry>& Planners() {
  static Registry<PlannerEntry> planners("planner",
                                         {{"random_shooting", PlannerEntryOf<RandomShooting>()},
                                          {"cem", PlannerEntryOf<Cem>()},
                                          {"icem", PlannerEntryOf<Icem>()},
                                          {"mppi", PlannerEntryOf<Mppi>()},
                                          {"ilqr", PlannerEntryOf<IlqrPlanner>()}});
  return planners;
}

/// What every planner of this library looks ahead by.
struct OwnHorizon {
  int horizon = 0;  // [steps]

  void Visit(OptionsVisitor& visitor) { visitor.Field("horizon", horizon, {}, "[steps]"); }
};

/// Whether an assignment gave one of them a horizon in the place of the seconds of all: then a file
/// can only say it in the steps of each.
bool HasPlannerOfOwnHorizon(const Config& config) {
  const std::vector<std::string> names = PlannerNames();
  const size_t of_all = config.Layer("planner", "horizon_seconds");
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return config.Layer("planner." + name, "horizon") > of_all;
  });
}

}  // namespace

std::string_view NameOf(PlanStatus status) {
  switch (status) {
    case PlanStatus::kOk:
      return "ok";
    case PlanStatus::kConverged:
      return "converged";
    case PlanStatus::kDeadline:
      return "deadline";
    case PlanStatus::kStopped:
      return "stopped";
    case PlanStatus::kAllInvalid:
      return "all invalid";
  }
  return "";
}

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
  CheckModelAndReward("planner", problem.dynamics.get(), problem.reward.get());
  const PlannerEntry entry = Planners().Find(config.name(), name);
  if (!horizon) horizon = StepsOfHorizonSeconds(name, config);
  return NotNull("planner", name, entry.make("planner." + name, config, problem, horizon));
}

void WritePlannerOptions(const std::string& name, Config& config, ConfigWriter& writer) {
  const std::string section = "planner." + name;
  const PlannerEntry entry = Planners().Find(config.name(), name);
  if (const std::optional<int> steps = StepsOfHorizonSeconds(name, config)) {
    if (HasPlannerOfOwnHorizon(config)) {
      config.Set(fmt::format("{}.horizon={}", section, *steps));
    } else {
      auto seconds = ReadOptions<HorizonOptions>(config, "planner");
      if (!writer.Has("planner")) writer.Write("planner", seconds);
      writer.LeaveOut(section, "horizon");
    }
  }
  entry.write(section, config, writer);
}

int PlannerHorizon(const std::string& name, Config& config) {
  if (const std::optional<int> steps = StepsOfHorizonSeconds(name, config)) return *steps;
  const std::string section = "planner." + name;
  ConfigWriter writer;
  Planners().Find(config.name(), name).write(section, config, writer);
  Config written = Config::FromString(writer.text(), section);
  return ReadOptions<OwnHorizon>(written, section).horizon;
}

std::vector<std::string> PlannerNames() { return Planners().Names(); }

void RegisterPlanner(const std::string& name, PlannerEntry entry) {
  if (!entry.make || !entry.write) {
    throw InputError(fmt::format("planner '{}': found no function, expected make and write", name));
  }
  Planners().Add(name, std::move(entry));
}

}  // namespace foreplan

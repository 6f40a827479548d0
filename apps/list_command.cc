// foreplan list: what this build can run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/learners/learner.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/policy.h"
#include "foreplan/runs/machine.h"
#include "foreplan/systems/task.h"

namespace foreplan::apps {
namespace {

std::vector<Task> ShippedTasks() {
  std::vector<Task> tasks;
  for (const std::string& name : Task::ShippedNames()) tasks.push_back(Task::Load(name).first);
  return tasks;
}

void PrintJson() {
  nlohmann::ordered_json tasks = nlohmann::ordered_json::array();
  for (const Task& task : ShippedTasks()) {
    tasks.push_back({{"name", task.name()},
                     {"summary", task.summary()},
                     {"observation_dim", task.spec().observation_dim()},
                     {"action_dim", task.spec().action_dim()},
                     {"state_dim", task.MakeSystem()->spec().state_dim()},
                     {"episode_length", task.episode_length()},
                     {"dt_seconds", task.spec().dt}});
  }
  const nlohmann::ordered_json document = {
      {"tasks", std::move(tasks)}, {"algorithms", LearnerNames()},  {"planners", PlannerNames()},
      {"rewards", RewardNames()},  {"policies", BasePolicyNames()}, {"versions", VersionsJson()}};
  fmt::print("{}\n", document.dump(2));
}

void PrintNames(std::string_view title, const std::vector<std::string>& names) {
  fmt::print("{:<12}{}\n", title, fmt::join(names, ", "));
}

void PrintTables() {
  const std::vector<Task> tasks = ShippedTasks();
  size_t width = 4;
  for (const Task& task : tasks) width = std::max(width, task.name().size());
  fmt::print("{:<{}}  {:>11}  {:>7}  {:>6}  {:>7}\n", "task", width, "observation", "actions",
             "steps", "dt [s]");
  for (const Task& task : tasks) {
    fmt::print("{:<{}}  {:>11}  {:>7}  {:>6}  {:>7}  {}\n", task.name(), width,
               task.spec().observation_dim(), task.spec().action_dim(), task.episode_length(),
               task.spec().dt, task.summary());
  }
  fmt::print("\n");
  PrintNames("algorithms", LearnerNames());
  PrintNames("planners", PlannerNames());
  PrintNames("rewards", RewardNames());
  PrintNames("policies", BasePolicyNames());
}

}  // namespace

void AddListCommand(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App& command = *app.add_subcommand("list", "show tasks, algorithms and planners");
  AddJsonFlag(command, *json);
  command.callback([json] { *json ? PrintJson() : PrintTables(); });
}

}  // namespace foreplan::apps

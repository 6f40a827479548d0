// foreplan show: what a task is, before anything is run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "foreplan/core/option_description.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/machine.h"
#include "foreplan/systems/task_rewards.h"
#include "foreplan/systems/task_text.h"

namespace foreplan::apps {
namespace {

using Json = nlohmann::ordered_json;

struct ShowRequest {
  std::string target;  // task, or the folder of a run or a fit
  RunFlags flags;
  int seed = 0;
  bool all = false;
  bool json = false;
};

/// Where an episode begins and what its first step earns without action: zero, inside the bounds.
struct FirstStep {
  std::vector<double> observation;
  std::vector<double> action;
  double reward = std::nan("");
  bool terminated = false;
  std::string trouble;  // why there is no reward, or ""
};

FirstStep TakeFirstStep(const Task& task, int seed) {
  const EnvironmentSpec& spec = task.spec();
  const Key key{.seed = static_cast<uint64_t>(seed), .stream = 0};
  const std::shared_ptr<Environment> environment = task.MakeEnvironment();
  environment->Reset(key.Fold(0));  // as foreplan plan begins
  FirstStep first = {};
  first.observation.resize(spec.observation.size());
  environment->Observe(first.observation);
  for (size_t i = 0; i < spec.action.size(); ++i) {
    first.action.push_back(std::clamp(0.0, spec.action_low[i], spec.action_high[i]));
  }
  const StepOutcome outcome = environment->Step(first.action);
  if (outcome == StepStatus::kDiverged) {
    first.trouble = "diverged: " + environment->Divergence();
    return first;
  }
  std::vector<double> next(spec.observation.size());
  environment->Observe(next);
  const TransitionBatch transition{.rows = 1,
                                   .observation = first.observation.data(),
                                   .action = first.action.data(),
                                   .next_observation = next.data()};
  uint8_t terminated = 0;
  double reward = 0;
  if (task.termination() != nullptr) {
    task.termination()->Evaluate(transition, &reward, &terminated);
  }
  first.reward =
      0.0 + (task.environment_pays() ? outcome.reward.value_or(std::nan("")) : reward);  // no -0
  first.terminated = terminated != 0 || outcome.end == StepEnd::kTerminated;
  return first;
}

/// All that is shown.
struct TaskSheet {
  Experiment experiment;
  std::string file = {};
  std::string learned = {};  // folder of what was learned, or ""
  TaskOptions text = {};
  FirstStep first = {};
  ConfigWriter config = {};                    // what is in effect
  std::vector<OptionDescription> others = {};  // what else there is
};

TaskSheet MakeSheet(const ShowRequest& request) {
  const Target target = ResolveTarget(request.target, request.flags);
  TaskSheet sheet{.experiment = LoadExperiment(target.task, target.flags)};
  Experiment& experiment = sheet.experiment;
  sheet.file = experiment.config.name();
  sheet.learned = target.run_folder.empty() ? experiment.run.model : target.run_folder;
  sheet.text = ReadOptions<TaskOptions>(experiment.config, "");
  sheet.first = TakeFirstStep(experiment.task, request.seed);
  WriteConfig(experiment, "", sheet.config);
  if (request.all) sheet.others = OtherOptions(experiment);
  return sheet;
}

/// model.kind, or where the algorithm has no such choice, what it is named by.
std::string ModelKind(const TaskSheet& sheet) {
  for (const OptionDescription& option : sheet.config.options()) {
    // Without its quotes: it is one of some names.
    if (option.path() == "model.kind") return option.value.substr(1, option.value.size() - 2);
  }
  return sheet.experiment.run.algorithm;
}

std::string PlanningRewardText(const TaskSheet& sheet) {
  if (!sheet.text.planning_reward.empty()) return sheet.text.planning_reward;
  return sheet.experiment.task.planning_reward_is_learned() ? "learned" : sheet.text.reward;
}

std::string TerminationText(const TaskSheet& sheet) {
  if (!sheet.text.termination.empty()) return sheet.text.termination;
  return IsRewardName(sheet.text.reward) ? "as the reward has it" : "never";
}

// --- as JSON ------------------------------------------------------------------------------------

/// null for what is no number.
Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json OptionJson(const OptionDescription& option) {
  // TOML's numbers, texts and lists are JSON's, but for inf and nan.
  Json value = Json::parse(option.value, nullptr, false);
  if (value.is_discarded()) value = option.value;
  Json json = {{"key", option.path()},
               {"value", std::move(value)},
               {"expected", option.expected},
               {"low", Number(option.range.low)},
               {"high", Number(option.range.high)},
               {"help", option.help}};
  if (!option.choices.empty()) json["choices"] = option.choices;
  return json;
}

Json OptionsJson(const std::vector<OptionDescription>& options) {
  Json list = Json::array();
  for (const OptionDescription& option : options) list.push_back(OptionJson(option));
  return list;
}

Json ComponentsJson(const TaskSheet& sheet) {
  const EnvironmentSpec& spec = sheet.experiment.task.spec();
  Json observation = Json::array();
  for (size_t i = 0; i < spec.observation.size(); ++i) {
    observation.push_back({{"name", spec.observation[i].name},
                           {"unit", spec.observation[i].unit},
                           {"first", Number(sheet.first.observation[i])}});
  }
  Json action = Json::array();
  for (size_t i = 0; i < spec.action.size(); ++i) {
    action.push_back({{"name", spec.action[i].name},
                      {"unit", spec.action[i].unit},
                      {"low", spec.action_low[i]},
                      {"high", spec.action_high[i]}});
  }
  return {{"observation", std::move(observation)}, {"action", std::move(action)}};
}

void PrintJson(TaskSheet& sheet, const ShowRequest& request) {
  const Task& task = sheet.experiment.task;
  const double dt = task.spec().dt;
  Json document = {{"task", task.name()},
                   {"summary", task.summary()},
                   {"file", sheet.file},
                   {"dt_seconds", dt},
                   {"episode_length", task.episode_length()},
                   {"episode_seconds", task.episode_length() * dt}};
  document.update(ComponentsJson(sheet));
  document.update({{"state_dim", task.has_system() ? Json(task.MakeSystem()->spec().state_dim())
                                                   : Json(nullptr)},
                   {"reward", sheet.text.reward},
                   {"planning_reward", PlanningRewardText(sheet)},
                   {"termination", TerminationText(sheet)},
                   {"seed", request.seed},
                   {"first_action", sheet.first.action},
                   {"first_reward", Number(sheet.first.reward)},
                   {"first_terminated", sheet.first.terminated},
                   {"algorithm", sheet.experiment.run.algorithm}});
  if (LearnerPlans(sheet.experiment.run.algorithm)) {
    const PlanningHorizon horizon = HorizonOf(sheet.experiment);
    document.update({{"planner", sheet.experiment.run.planner},
                     {"horizon_steps", horizon.steps},
                     {"horizon_seconds", horizon.seconds}});
  }
  document["model_kind"] = ModelKind(sheet);
  document["learned"] = sheet.learned.empty() ? Json(nullptr) : Json(sheet.learned);
  document["options"] = OptionsJson(sheet.config.options());
  if (request.all) document["other_options"] = OptionsJson(sheet.others);
  document["notes"] = sheet.experiment.notes;
  document["versions"] = VersionsJson();
  fmt::print("{}\n", document.dump(2));
}

// --- as text ------------------------------------------------------------------------------------

size_t WidthOf(const std::vector<Component>& components, size_t least) {
  for (const Component& component : components) least = std::max(least, component.name.size());
  return least;
}

void PrintLine(std::string_view name, std::string_view value) {
  fmt::print("{:<16}{}\n", name, value);
}

void PrintComponents(const TaskSheet& sheet, int seed) {
  const EnvironmentSpec& spec = sheet.experiment.task.spec();
  const size_t width = std::max(WidthOf(spec.observation, 16), WidthOf(spec.action, 16));
  fmt::print("\n{:<{}}  {:<10}{:>14}\n", fmt::format("observation ({})", spec.observation_dim()),
             width, "unit", fmt::format("first, seed {}", seed));
  for (size_t i = 0; i < spec.observation.size(); ++i) {
    fmt::print("{:<{}}  {:<10}{:>14.6g}\n", spec.observation[i].name, width,
               spec.observation[i].unit, sheet.first.observation[i]);
  }
  fmt::print("\n{:<{}}  {:<10}{:>14}\n", fmt::format("action ({})", spec.action_dim()), width,
             "unit", "bounds");
  for (size_t i = 0; i < spec.action.size(); ++i) {
    fmt::print("{:<{}}  {:<10}{:>14}\n", spec.action[i].name, width, spec.action[i].unit,
               fmt::format("{:.6g} ... {:.6g}", spec.action_low[i], spec.action_high[i]));
  }
}

void PrintRewards(const TaskSheet& sheet) {
  fmt::print("\n");
  PrintLine("reward", sheet.text.reward);
  if (PlanningRewardText(sheet) != sheet.text.reward) {
    PrintLine("planned for", PlanningRewardText(sheet));
  }
  for (const OptionDescription& option : sheet.config.options()) {
    if (option.section == "quantities" || option.section == "constants") {
      PrintLine("", fmt::format("{} = {}", option.key, option.value));
    }
  }
  PrintLine("termination", TerminationText(sheet));
  const FirstStep& first = sheet.first;
  PrintLine("first reward", first.trouble.empty()
                                ? fmt::format("{:.6g} without action{}", first.reward,
                                              first.terminated ? ", which ends the episode" : "")
                                : first.trouble);
}

void PrintOptions(const std::vector<OptionDescription>& options) {
  size_t width = 0;
  for (const OptionDescription& option : options) {
    width = std::max(width, option.path().size() + 3 + option.value.size());
  }
  width = std::min(width, size_t{44});
  for (const OptionDescription& option : options) {
    fmt::print("{:<{}}  {}{}{}\n", fmt::format("{} = {}", option.path(), option.value), width,
               option.expected, option.help.empty() ? "" : "; ", option.help);
  }
}

void PrintText(TaskSheet& sheet, const ShowRequest& request) {
  Experiment& experiment = sheet.experiment;
  const Task& task = experiment.task;
  const double dt = task.spec().dt;
  fmt::print("{}{}{}\n\n", task.name(), task.summary().empty() ? "" : ": ", task.summary());
  PrintLine("file", sheet.file);
  PrintLine("step", fmt::format("{:.6g} s", dt));
  PrintLine("episode",
            fmt::format("{} steps, {:.6g} s", task.episode_length(), task.episode_length() * dt));
  PrintComponents(sheet, request.seed);
  PrintRewards(sheet);
  fmt::print("\n");
  PrintLine("algorithm", experiment.run.algorithm);
  if (LearnerPlans(experiment.run.algorithm)) {
    const PlanningHorizon horizon = HorizonOf(experiment);
    PrintLine("planner", experiment.run.planner);
    PrintLine("horizon", fmt::format("{} steps, {:.6g} s", horizon.steps, horizon.seconds));
  }
  PrintLine("model", sheet.learned.empty()
                         ? ModelKind(sheet)
                         : fmt::format("{}, learned in {}", ModelKind(sheet), sheet.learned));
  fmt::print("\noptions, in effect (--set KEY=VALUE)\n");
  PrintOptions(sheet.config.options());
  if (!request.all) {
    fmt::print("\n--all lists those of other algorithms and planners, too.\n");
    return;
  }
  fmt::print("\nother options\n");
  PrintOptions(sheet.others);
}

void Show(const ShowRequest& request) {
  TaskSheet sheet = MakeSheet(request);
  PrintNotes(sheet.experiment.notes);
  (request.json ? PrintJson : PrintText)(sheet, request);
}

}  // namespace

void AddShowCommand(CLI::App& app) {
  auto request = std::make_shared<ShowRequest>();
  CLI::App& command = *app.add_subcommand(
      "show", "what a task is: names, units, bounds, start, reward, planner, model, options");
  command
      .add_option("task", request->target,
                  "name or file of a task, or the folder of a run or a fit")
      ->required()
      ->type_name("TASK|RUN");
  command
      .add_option("--algorithm", request->flags.algorithm,
                  "the learning loop; default: the task's choice")
      ->type_name("ALGORITHM");
  AddPlannerFlag(command, request->flags);
  AddModelFlag(command, request->flags);
  command.add_option("--seed", request->seed, "of the start; default: 0")
      ->check(IntegerFrom(0, 2147483647));
  command.add_flag("--all", request->all, "options of other algorithms and planners, too");
  AddSetFlag(command, request->flags);
  AddJsonFlag(command, request->json);
  command.callback([request] { Show(*request); });
}

}  // namespace foreplan::apps

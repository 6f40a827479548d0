#include "foreplan/systems/task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <optional>
#include <sstream>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/closed_form/closed_form.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/rewards/expression_reward.h"
#include "foreplan/systems/task_files.h"
#ifdef FOREPLAN_HAVE_MUJOCO
#include "foreplan/systems/mujoco/mujoco_system.h"
#endif

namespace foreplan {
namespace {

constexpr std::string_view kMujoco = "mujoco";

/// The top-level keys of a task file.
struct TaskOptions {
  std::string name;
  std::string summary;
  std::string reward;
  std::string planning_reward;
  std::string termination;
  int episode_length = 0;  // [steps]; 0 is only the mark of a missing key
  double measurement_noise = 0;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("name", name, "of the task: letters, digits, '_', '-' and '.'");
    visitor.Field("summary", summary, "one line");
    visitor.Field("reward", reward, "an expression, or the name of a shipped reward");
    if (planning_reward.empty()) planning_reward = reward;
    visitor.Field("planning_reward", planning_reward,
                  "what planners maximise; default: the reward");
    visitor.Field("termination", termination,
                  "an expression; empty: never, or as the shipped reward has it");
    visitor.Field("episode_length", episode_length, {1, 1e6}, "[steps]");
    visitor.Field("measurement_noise", measurement_noise, {0, 1e6},
                  "deviation of every observed component from the true one");
  }
};

struct SystemType {
  std::string type;

  void Visit(OptionsVisitor& visitor) {
    std::vector<std::string> types = ClosedFormNames();
    types.emplace_back(kMujoco);
    visitor.Choice("type", type, std::span<const std::string>(types),
                   "mujoco or a closed-form system");
  }
};

InputError MissingKey(const Config& config, std::string_view key, std::string_view expected) {
  return InputError(
      fmt::format("{}: found no key '{}', expected {}", config.name(), key, expected));
}

void CheckTaskOptions(const Config& config, const TaskOptions& options) {
  if (options.name.empty()) throw MissingKey(config, "name", "the task's name");
  // The name becomes part of file names.
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  if (options.name.find_first_not_of(kAllowed) != std::string::npos) {
    throw InputError(fmt::format("{}: name: found '{}', expected letters, digits, '_', '-', '.'",
                                 config.name(), options.name));
  }
  if (options.reward.empty())
    throw MissingKey(config, "reward", "an expression or the name of a reward");
  if (options.episode_length == 0) throw MissingKey(config, "episode_length", "a number of steps");
}

std::string ReadSystemType(Config& config) {
  SystemType system;
  config.Read("system", system);
  if (system.type.empty()) throw MissingKey(config, "system.type", "mujoco or a closed form");
  return system.type;
}

std::unique_ptr<SystemFactory> MakeFactory([[maybe_unused]] const Config& config,
                                           const std::string& type) {
  if (type != kMujoco) return MakeClosedFormFactory(type);
#ifdef FOREPLAN_HAVE_MUJOCO
  return MakeMujocoFactory();
#else
  throw InputError(fmt::format(
      "{}: system.type: found 'mujoco', but this build of foreplan has no MuJoCo; expected one of "
      "its closed-form systems: {}",
      config.name(), fmt::join(ClosedFormNames(), ", ")));
#endif
}

bool IsShippedReward(const std::string& text) {
  const std::vector<std::string> names = RewardNames();
  return std::find(names.begin(), names.end(), text) != names.end();
}

/// The text with the model's file by its full path: where a run keeps the text, there is no copy.
std::string WithFullModelPath(const std::string& where, const std::filesystem::path& directory,
                              const std::string& text) {
  struct Model {
    std::string model;
    void Visit(OptionsVisitor& visitor) { visitor.Field("model", model, "MJCF file"); }
  } of_system;
  Config changes = Config::FromString(text, where);
  changes.Read("system", of_system);
  if (of_system.model.empty()) return text;
  const std::string key = "system.model=";
  std::ostringstream full;
  full << key << std::quoted(std::filesystem::absolute(directory / of_system.model).string());
  for (const std::string& assignment : changes.Assignments("system")) {
    if (!assignment.starts_with(key)) full << '\n' << assignment;
  }
  return full.str();
}

void CheckSameSpec(const std::string& where, const EnvironmentSpec& expected,
                   const EnvironmentSpec& found) {
  if (Names(found.observation) == Names(expected.observation) &&
      Names(found.action) == Names(expected.action) && found.dt == expected.dt) {
    return;
  }
  throw InputError(fmt::format(
      "{}: found a system of {} observed components, {} actions, {} s per step, expected those of "
      "the first condition: {}, {}, {} s",
      where, found.observation_dim(), found.action_dim(), found.dt, expected.observation_dim(),
      expected.action_dim(), expected.dt));
}

/// The systems of the texts; the texts name models by their full paths afterwards.
std::vector<std::shared_ptr<const System>> MakeVariants(const Config& config,
                                                        const std::filesystem::path& directory,
                                                        const SystemFactory& factory,
                                                        const std::string& field,
                                                        std::vector<std::string>& changed_by) {
  std::vector<std::shared_ptr<const System>> variants;
  for (size_t i = 0; i < changed_by.size(); ++i) {
    const std::string where = fmt::format("{}: conditions.{}[{}]", config.name(), field, i);
    Config changes = Config::FromString(changed_by[i], where);
    const std::unique_ptr<SystemFactory> changed = factory.Clone();
    changed->Read(changes, directory);
    changes.ThrowOnUnknownKeys();
    changed_by[i] = WithFullModelPath(where, directory, changed_by[i]);
    variants.push_back(changed->Make());
  }
  return variants;
}

/// Makes the rewards of a task from their texts.
class RewardMaker {
 public:
  RewardMaker(const Config& config, const System& prototype,
              const ExpressionDefinitions& definitions, const std::string& termination)
      : config_(config), prototype_(prototype), definitions_(definitions) {
    if (!termination.empty()) {
      termination_ = ExpressionText{config.Where("", "termination"), termination};
    }
  }

  [[nodiscard]] std::shared_ptr<const Reward> Make(const std::string& text) const {
    if (!IsShippedReward(text)) return FromExpression("reward", text, nullptr);
    if (termination_) {
      throw InputError(
          fmt::format("{}: found one beside the shipped reward '{}', which has its "
                      "own, expected an expression as the reward",
                      termination_->where, text));
    }
    return Shipped(text);
  }

  /// An expression ends episodes as the task's reward does.
  [[nodiscard]] std::shared_ptr<const Reward> MakeForPlanning(
      const std::string& text, const std::string& reward_text,
      const std::shared_ptr<const Reward>& reward) const {
    if (text == reward_text) return reward;
    if (IsShippedReward(text)) return Shipped(text);
    return FromExpression("planning_reward", text, IsShippedReward(reward_text) ? reward : nullptr);
  }

 private:
  [[nodiscard]] std::shared_ptr<const Reward> Shipped(const std::string& name) const {
    const EnvironmentSpec& spec = prototype_.spec();
    try {
      return MakeReward(name, spec.observation_dim(), spec.action_dim());
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {}", config_.name(), error.what()));
    }
  }

  [[nodiscard]] std::shared_ptr<const Reward> FromExpression(
      std::string_view key, const std::string& text,
      const std::shared_ptr<const Reward>& terminations) const {
    const EnvironmentSpec& spec = prototype_.spec();
    const ExpressionText source{config_.Where("", key), text};
    if (IsExpressionName(text)) CheckSingleName(source);
    const auto reward =
        terminations != nullptr
            ? std::make_shared<const ExpressionReward>(spec, definitions_, source, terminations)
            : std::make_shared<const ExpressionReward>(spec, definitions_, source, termination_);
    reward->CheckAtReset(*prototype_.Clone());
    return reward;
  }

  // A single word may have been meant to be a shipped reward.
  void CheckSingleName(const ExpressionText& source) const {
    std::vector<std::string> known = RewardNames();
    for (const NamedQuantity& quantity : definitions_.quantities) known.push_back(quantity.name);
    for (const NamedConstant& constant : definitions_.constants) known.push_back(constant.name);
    for (const auto* components : {&prototype_.spec().action, &prototype_.spec().observation}) {
      for (const Component& component : *components) known.push_back(component.name);
    }
    if (IsReservedWord(source.text) ||
        std::find(known.begin(), known.end(), source.text) != known.end()) {
      return;
    }
    throw UnknownName(source.where, "reward or quantity", source.text, known);
  }

  const Config& config_;
  const System& prototype_;
  const ExpressionDefinitions& definitions_;
  std::optional<ExpressionText> termination_;
};

std::filesystem::path TaskFile(const std::string& name_or_file) {
  if (name_or_file.find('/') != std::string::npos || name_or_file.ends_with(".toml")) {
    return name_or_file;
  }
  const std::vector<std::string> known = TaskFileNames();
  if (std::find(known.begin(), known.end(), name_or_file) == known.end()) {
    throw UnknownName("task", "task", name_or_file, Task::ShippedNames());
  }
  return TasksDirectory() / (name_or_file + ".toml");
}

}  // namespace

void ConditionOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("set", set, "TOML for [system], one text per condition");
  visitor.Field("unseen", unseen, "the same, of variants that learners are only judged on");
}

void GoalOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("distance", distance, "name of the distance of components and target");
  visitor.Field("components", components, "observation components; none: no goal");
  visitor.Field("target", target, {}, "as many numbers");
  visitor.Field("success", success, "name of: success_component, or the distance, < success_below");
  visitor.Field("success_component", success_component,
                "observation component; empty: the distance");
  visitor.Field("success_below", success_below, {}, "at the end of an episode");
}

Goal::Goal(const std::string& where, const GoalOptions& options, const EnvironmentSpec& spec)
    : options_(options) {
  if (options.components.empty()) return;
  const std::vector<std::string> known = Names(spec.observation);
  const auto place = [&](const char* key, const std::string& name) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found != known.end()) return static_cast<size_t>(found - known.begin());
    throw UnknownName(fmt::format("{}: goal.{}", where, key), "observation component", name, known);
  };
  for (const std::string& name : options.components) places_.push_back(place("components", name));
  if (!options.success_component.empty()) {
    success_place_ = place("success_component", options.success_component);
  }
  if (options.target.size() != places_.size()) {
    throw InputError(fmt::format("{}: goal.target: found {} numbers, expected {}", where,
                                 options.target.size(), places_.size()));
  }
}

double Goal::Distance(std::span<const double> observation) const {
  double square = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    const double difference = observation[places_[i]] - options_.target[i];
    square += difference * difference;
  }
  return std::sqrt(square);
}

bool Goal::Reached(std::span<const double> observation) const {
  const double value = success_place_ ? observation[*success_place_] : Distance(observation);
  return value < options_.success_below;
}

SystemFamily Task::MakeFamily(const std::string& where,
                              const std::vector<std::string>& parameters) const {
  if (!conditions_.set.empty()) {
    throw InputError(
        fmt::format("{}: found a task with [conditions], expected one of a single system", where));
  }
  return factory_->MakeFamily(where, parameters);
}

int Task::condition_count() const { return std::max<int>(1, static_cast<int>(variants_.size())); }

std::unique_ptr<System> Task::MakeUnseenSystem(int unseen) const {
  return unseen_[static_cast<size_t>(unseen)]->Clone();
}

std::unique_ptr<System> Task::MakeSystem(int condition) const {
  return variants_.empty() ? MakeSystem() : variants_[static_cast<size_t>(condition)]->Clone();
}

Task Task::FromConfig(Config& config, const std::filesystem::path& directory) {
  TaskOptions options;
  config.Read("", options);
  CheckTaskOptions(config, options);
  Task task;
  task.name_ = options.name;
  task.summary_ = options.summary;
  task.reward_text_ = options.reward;
  task.planning_reward_text_ = options.planning_reward;
  task.termination_text_ = options.termination;
  task.definitions_ = ExpressionDefinitions::Read(config);
  task.episode_length_ = options.episode_length;
  task.measurement_noise_ = options.measurement_noise;

  auto factory = MakeFactory(config, ReadSystemType(config));
  factory->Read(config, directory);
  config.Read("conditions", task.conditions_);
  task.variants_ = MakeVariants(config, directory, *factory, "set", task.conditions_.set);
  task.unseen_ = MakeVariants(config, directory, *factory, "unseen", task.conditions_.unseen);
  task.prototype_ = task.variants_.empty() ? factory->Make() : task.variants_.front();
  for (const auto* systems : {&task.variants_, &task.unseen_}) {
    for (const auto& system : *systems) {
      CheckSameSpec(config.name() + ": conditions", task.spec(), system->spec());
    }
  }
  if (task.spec().action.empty()) {
    throw InputError(fmt::format("{}: system: found no actuators, expected something to control",
                                 config.name()));
  }
  task.factory_ = std::move(factory);

  GoalOptions goal;
  config.Read("goal", goal);
  task.goal_ = Goal(config.name(), goal, task.spec());
  task.encoding_ = ReadEncoding(config, task.spec(), task.definitions_);
  if (task.encoding_.expressions)
    task.encoding_.expressions->CheckAtReset(*task.prototype_->Clone());
  std::vector<std::string> texts = task.encoding_.inputs;
  texts.insert(texts.end(),
               {task.reward_text_, task.planning_reward_text_, task.termination_text_});
  task.definitions_.ThrowOnUnusedOverrides(std::move(texts));
  const RewardMaker rewards(config, *task.prototype_, task.definitions_, task.termination_text_);
  task.reward_ = rewards.Make(task.reward_text_);
  task.planning_reward_ =
      rewards.MakeForPlanning(task.planning_reward_text_, task.reward_text_, task.reward_);
  return task;
}

std::pair<Task, Config> Task::Load(const std::string& name_or_file,
                                   std::span<const std::string> overrides) {
  const std::filesystem::path file = TaskFile(name_or_file);
  Config config = Config::FromFile(file);
  for (const std::string& assignment : overrides) config.Set(assignment);
  Task task = FromConfig(config, file.parent_path());
  return {std::move(task), std::move(config)};
}

std::vector<std::string> Task::ShippedNames() {
  std::vector<std::string> names = TaskFileNames();
#ifndef FOREPLAN_HAVE_MUJOCO
  const std::filesystem::path directory = TasksDirectory();
  std::erase_if(names, [&](const std::string& name) {
    Config config = Config::FromFile(directory / (name + ".toml"));
    return ReadSystemType(config) == kMujoco;
  });
#endif
  return names;
}

void Task::Save(ConfigWriter& writer, const std::filesystem::path& directory) const {
  TaskOptions options{.name = name_,
                      .summary = summary_,
                      .reward = reward_text_,
                      .planning_reward = planning_reward_text_,
                      .termination = termination_text_,
                      .episode_length = episode_length_,
                      .measurement_noise = measurement_noise_};
  writer.Write("", options);
  definitions_.Write(writer);
  factory_->Write(writer, directory);
  ConditionOptions conditions = conditions_;
  writer.Write("conditions", conditions);
  GoalOptions goal = goal_.options();
  writer.Write("goal", goal);
  Encoding encoding = encoding_;
  writer.Write("encoding", encoding);
}

}  // namespace foreplan

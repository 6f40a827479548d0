#include "foreplan/systems/task_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iomanip>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/system_types.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {
namespace {

// In the place of a reward.
constexpr std::string_view kPaidByEnvironment = "environment";
constexpr std::string_view kLearnedFromData = "learned";

struct SystemType {
  std::string type;

  void Visit(OptionsVisitor& visitor) {
    const std::vector<std::string> types = SystemTypes();
    visitor.Choice("type", type, std::span<const std::string>(types),
                   "mujoco, a closed-form system, or one of the program's");
  }
};

InputError MissingKey(const Config& config, std::string_view key, std::string_view expected) {
  return InputError(
      fmt::format("{}: found no key '{}', expected {}", config.name(), key, expected));
}

/// What Task::Save writes of a task that only its program knows.
struct MadeInCode {
  bool made_in_code = false;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("made_in_code", made_in_code, "no file says what it is");
  }
};

}  // namespace

bool IsMadeInCode(Config& config) { return ReadOptions<MadeInCode>(config, "").made_in_code; }

namespace {

void RefuseTaskMadeInCode(Config& config) {
  if (!IsMadeInCode(config)) return;
  throw InputError(fmt::format(
      "{}: found a task made in code, expected one of a file: only the program that made it can go "
      "on with it",
      config.name()));
}

void CheckTaskOptions(const Config& config, const TaskOptions& options) {
  if (options.name.empty()) throw MissingKey(config, "name", "the task's name");
  if (options.reward.empty())
    throw MissingKey(config, "reward", "an expression or the name of a reward");
  if (options.episode_length == 0) throw MissingKey(config, "episode_length", "a number of steps");
}

/// The text with the names of copies in `directory` in the place of the files that it names itself.
std::string WithCopies(const std::string& where, const std::string& text,
                       const SystemFactory& factory, const std::filesystem::path& directory) {
  Config changes = Config::FromString(text, where);
  bool any = false;
  for (const std::string& key : factory.file_keys()) {
    const size_t dot = key.rfind('.');
    const std::vector<std::string> named = changes.Keys(key.substr(0, dot));
    if (std::ranges::find(named, key.substr(dot + 1)) == named.end()) continue;
    std::ostringstream copied;
    copied << key << '=' << std::quoted(factory.CopyFile(key, directory));
    changes.Set(copied.str());
    any = true;
  }
  return any ? fmt::format("{}", fmt::join(changes.Assignments("system"), "\n")) : text;
}

/// What the texts make of the system.
std::vector<std::shared_ptr<const SystemFactory>> ReadVariants(
    const Config& config, const std::filesystem::path& directory, const SystemFactory& factory,
    const std::string& field, const std::vector<std::string>& changed_by) {
  std::vector<std::shared_ptr<const SystemFactory>> variants;
  for (size_t i = 0; i < changed_by.size(); ++i) {
    const std::string where = fmt::format("{}: conditions.{}[{}]", config.name(), field, i);
    Config changes = Config::FromString(changed_by[i], where);
    std::unique_ptr<SystemFactory> changed = factory.Clone();
    changed->Read(changes, directory);
    changes.ThrowOnUnknownKeys();
    variants.push_back(std::move(changed));
  }
  return variants;
}

std::vector<std::shared_ptr<const System>> MakeAll(
    const std::vector<std::shared_ptr<const SystemFactory>>& factories) {
  std::vector<std::shared_ptr<const System>> systems;
  for (const auto& factory : factories) systems.push_back(factory->Make());
  return systems;
}

RewardSource SourceOf(const ExpressionText& text) {
  if (text.text.empty()) return {};
  if (text.text == kPaidByEnvironment) return PaidByEnvironment{};
  if (text.text == kLearnedFromData) return LearnedFromData{};
  return text;
}

/// Throws InputError for what cannot be a task.
std::filesystem::path TaskFile(const std::string& name_or_file) {
  namespace fs = std::filesystem;
  const std::vector<std::string> known = TaskFileNames();
  if (std::find(known.begin(), known.end(), name_or_file) != known.end()) {
    return TasksDirectory() / (name_or_file + ".toml");
  }
  std::error_code error;
  if (fs::is_directory(name_or_file, error)) {
    throw InputError(fmt::format(
        "{}: found a folder, expected a task's name or file (.toml); --resume goes on with a run, "
        "--model begins with what a fit or a run has learned",
        name_or_file));
  }
  const std::string extension = fs::path(name_or_file).extension().string();
  if (extension == ".toml") return name_or_file;
  if (extension == ".xml") {
    throw InputError(fmt::format(
        "{0}: found a model, expected the file of a task (.toml) that names it: model = \"{0}\" in "
        "its section [system]",
        name_or_file));
  }
  if (!extension.empty() || name_or_file.find('/') != std::string::npos) {
    throw InputError(
        fmt::format("{}: found no task, expected the name of one ('foreplan list' names them) or "
                    "its file (.toml)",
                    name_or_file));
  }
  throw UnknownTask("", "task", name_or_file);
}

}  // namespace

std::string ReadSystemType(Config& config) {
  SystemType system;
  config.Read("system", system);
  if (system.type.empty()) throw MissingKey(config, "system.type", "mujoco or a closed form");
  return system.type;
}

InputError UnknownTask(std::string_view where, std::string_view what, std::string_view name) {
  const std::string nearest = NearestName(name, Task::ShippedNames());
  return InputError(fmt::format("{}{}unknown {} '{}'{}; 'foreplan list' names the tasks", where,
                                where.empty() ? "" : ": ", what, name,
                                nearest.empty() ? "" : " (did you mean '" + nearest + "'?)"));
}

void CheckTaskName(const std::string& where, const std::string& name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  if (!name.empty() && name.find_first_not_of(kAllowed) == std::string::npos) return;
  throw InputError(
      fmt::format("{}: name: found '{}', expected letters, digits, '_', '-', '.'", where, name));
}

void TaskOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("name", name, "of the task: letters, digits, '_', '-' and '.'");
  visitor.Field("summary", summary, "one line");
  visitor.Field("reward", reward,
                "an expression, the name of a shipped reward, or 'environment': what it pays");
  visitor.Field("planning_reward", planning_reward,
                "what planners maximise; empty: the reward, or where the environment pays what is "
                "learned of it; 'learned': from what steps earned");
  visitor.Field("termination", termination,
                "an expression; empty: never, or as the shipped reward has it");
  visitor.Field("episode_length", episode_length, {1, 1e6}, "[steps]");
  visitor.Field("action_repeat", action_repeat, {1, 1000},
                "control periods of the system per step; what they earn is summed");
  visitor.Field("action_filter", action_filter, {0, 1e6},
                "time constant of a first-order low pass of the actions [s]; 0: none");
  visitor.Field("measurement_noise", measurement_noise, {0, 1e6},
                "deviation of every observed component from the true one");
}

void ConditionOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("set", set, "TOML for [system], one text per condition");
  visitor.Field("unseen", unseen, "the same, of variants that learners are only judged on");
}

TaskText::TaskText(Config& config, const std::filesystem::path& directory) : where_(config.name()) {
  RefuseTaskMadeInCode(config);
  config.Read("", options_);
  CheckTaskOptions(config, options_);
  CheckTaskName(where_, options_.name);
  reward_ = {config.Where("", "reward"), options_.reward};
  planning_reward_ = {config.Where("", "planning_reward"), options_.planning_reward};
  termination_ = {config.Where("", "termination"), options_.termination};
  definitions_ = ExpressionDefinitions::Read(config);
  auto factory = MakeSystemFactory(config.name(), ReadSystemType(config));
  factory->Read(config, directory);
  config.Read("conditions", conditions_);
  variant_factories_ = ReadVariants(config, directory, *factory, "set", conditions_.set);
  unseen_factories_ = ReadVariants(config, directory, *factory, "unseen", conditions_.unseen);
  variants_ = MakeAll(variant_factories_);
  unseen_ = MakeAll(unseen_factories_);
  factory_ = std::move(factory);
  config.Read("goal", goal_);
  encoding_ = ReadEncodingSection(config);
  std::vector<std::string> texts = encoding_.input_texts;
  for (const auto& more : {factory_->ExpressionTexts(), conditions_.set, conditions_.unseen}) {
    texts.insert(texts.end(), more.begin(), more.end());
  }
  texts.insert(texts.end(), {options_.reward, options_.planning_reward, options_.termination});
  definitions_.ThrowOnUnusedOverrides(std::move(texts));
}

TaskDefinition TaskText::Definition() const {
  std::shared_ptr<const System> prototype =
      variants_.empty() ? std::shared_ptr<const System>(factory_->Make()) : variants_.front();
  if (prototype->spec().action.empty()) {
    throw InputError(
        fmt::format("{}: system: found no actuators, expected something to control", where_));
  }
  return {.name = options_.name,
          .summary = options_.summary,
          .system = std::move(prototype),
          .reward = SourceOf(reward_),
          .planning_reward = SourceOf(planning_reward_),
          .termination = termination_,
          .definitions = definitions_,
          .episode_length = options_.episode_length,
          .action_repeat = options_.action_repeat,
          .action_filter = options_.action_filter,
          .measurement_noise = options_.measurement_noise,
          .encoding = encoding_,
          .goal = goal_,
          .conditions = variants_,
          .unseen = unseen_,
          .where = where_};
}

void TaskText::Save(ConfigWriter& writer, const std::filesystem::path& directory) const {
  TaskOptions options = options_;
  writer.Write("", options);
  definitions_.Write(writer);
  factory_->Write(writer, directory);
  ConditionOptions conditions = conditions_;
  for (size_t i = 0; i < conditions.set.size(); ++i) {
    conditions.set[i] = WithCopies(where_, conditions.set[i], *variant_factories_[i], directory);
  }
  for (size_t i = 0; i < conditions.unseen.size(); ++i) {
    conditions.unseen[i] =
        WithCopies(where_, conditions.unseen[i], *unseen_factories_[i], directory);
  }
  writer.Write("conditions", conditions);
  GoalOptions goal = goal_;
  writer.Write("goal", goal);
  Encoding encoding = encoding_;
  writer.Write("encoding", encoding);
}

Task Task::FromConfig(Config& config, const std::filesystem::path& directory) {
  auto text = std::make_shared<const TaskText>(config, directory);
  Task task(text->Definition());
  task.text_ = std::move(text);
  config.set_dt(task.spec().dt);
  return task;
}

std::pair<Task, Config> Task::Load(const std::string& name_or_file,
                                   const std::vector<std::string>& overrides) {
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
    return ReadSystemType(config) == kMujocoType;
  });
#endif
  return names;
}

void Task::Save(ConfigWriter& writer, const std::filesystem::path& directory) const {
  if (text_ != nullptr) return text_->Save(writer, directory);
  struct Summary {
    std::string name;
    std::string summary;
    int episode_length;
    bool made_in_code = true;
    void Visit(OptionsVisitor& visitor) {
      visitor.Field("name", name, "of a task that was made in code");
      visitor.Field("summary", summary, "one line");
      visitor.Field("episode_length", episode_length, {1, 1e6}, "[steps]");
      visitor.Field("made_in_code", made_in_code, "no file says what it is");
    }
  } of_code{name(), summary(), episode_length()};
  writer.Write("", of_code);
}

}  // namespace foreplan

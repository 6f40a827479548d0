#include "foreplan/systems/task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/closed_form.h"
#include "foreplan/systems/task_files.h"
#ifdef FOREPLAN_HAVE_MUJOCO
#include "foreplan/systems/mujoco_system.h"
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
  int episode_length = 0;  // [steps]; 0 is only the mark of a missing key

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("name", name, "of the task: letters, digits, '_', '-' and '.'");
    visitor.Field("summary", summary, "one line");
    visitor.Choice("reward", reward, std::span<const std::string>(RewardNames()),
                   "name of the reward function");
    if (planning_reward.empty()) planning_reward = reward;
    visitor.Choice("planning_reward", planning_reward, std::span<const std::string>(RewardNames()),
                   "what planners maximise; default: the reward");
    visitor.Field("episode_length", episode_length, {1, 1e6}, "[steps]");
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
  if (options.reward.empty()) throw MissingKey(config, "reward", "the name of a reward function");
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

std::vector<std::string> ObservationNames(const Config& config, const SystemSpec& spec) {
  std::vector<std::string> names;
  for (const Component& component : spec.observation) {
    if (std::find(names.begin(), names.end(), component.name) != names.end()) {
      throw InputError(
          fmt::format("{}: system: found observation component '{}' twice, expected "
                      "distinct names",
                      config.name(), component.name));
    }
    names.push_back(component.name);
  }
  return names;
}

// '*' in the pattern stands for any characters.
bool Matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] != '*') {
    return !name.empty() && pattern[0] == name[0] && Matches(pattern.substr(1), name.substr(1));
  }
  return Matches(pattern.substr(1), name) || (!name.empty() && Matches(pattern, name.substr(1)));
}

// Replaces patterns by the names they match; one that matches none stays, for CheckEncoding.
void ExpandPatterns(const SystemSpec& spec, std::vector<std::string>& names) {
  std::vector<std::string> expanded;
  for (const std::string& pattern : names) {
    const size_t before = expanded.size();
    for (const Component& component : spec.observation) {
      if (Matches(pattern, component.name)) expanded.push_back(component.name);
    }
    if (expanded.size() == before) expanded.push_back(pattern);
  }
  names = std::move(expanded);
}

void CheckEncoding(const Config& config, const Encoding& encoding, const SystemSpec& spec) {
  const std::vector<std::string> known = ObservationNames(config, spec);
  const auto check = [&](std::string_view key, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw UnknownName(fmt::format("{}: encoding.{}", config.name(), key),
                          "observation component", name, known);
      }
    }
  };
  check("sin_cos", encoding.sin_cos);
  check("omit", encoding.omit);
  check("absolute", encoding.absolute);
  for (const std::string& name : encoding.omit) {
    if (std::find(encoding.sin_cos.begin(), encoding.sin_cos.end(), name) !=
        encoding.sin_cos.end()) {
      throw InputError(fmt::format("{}: encoding: found '{}' in omit and in sin_cos, expected one",
                                   config.name(), name));
    }
  }
}

std::unique_ptr<const Reward> MakeTaskReward(const Config& config, const std::string& name,
                                             const SystemSpec& spec) {
  try {
    return MakeReward(name, spec.observation_dim(), spec.action_dim());
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", config.name(), error.what()));
  }
}

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

void Encoding::Visit(OptionsVisitor& visitor) {
  visitor.Field("sin_cos", sin_cos, "angles that enter the model as (sin, cos)");
  visitor.Field("omit", omit, "components that do not enter the model");
  visitor.Field("absolute", absolute, "components predicted as such, not as a difference");
}

Task Task::FromConfig(Config& config, const std::filesystem::path& directory) {
  TaskOptions options;
  config.Read("", options);
  CheckTaskOptions(config, options);
  Task task;
  task.name_ = options.name;
  task.summary_ = options.summary;
  task.reward_name_ = options.reward;
  task.planning_reward_name_ = options.planning_reward;
  task.episode_length_ = options.episode_length;

  auto factory = MakeFactory(config, ReadSystemType(config));
  factory->Read(config, directory);
  task.prototype_ = factory->Make();
  task.factory_ = std::move(factory);

  config.Read("encoding", task.encoding_);
  Encoding& encoding = task.encoding_;
  for (auto* names : {&encoding.sin_cos, &encoding.omit, &encoding.absolute}) {
    ExpandPatterns(task.spec(), *names);
  }
  CheckEncoding(config, task.encoding_, task.spec());
  task.reward_ = MakeTaskReward(config, task.reward_name_, task.spec());
  task.planning_reward_ = MakeTaskReward(config, task.planning_reward_name_, task.spec());
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
  TaskOptions options{name_, summary_, reward_name_, planning_reward_name_, episode_length_};
  writer.Write("", options);
  factory_->Write(writer, directory);
  Encoding encoding = encoding_;
  writer.Write("encoding", encoding);
}

}  // namespace foreplan

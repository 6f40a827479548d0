// A task: what acts, what is wanted of it, how long, and how a model should look at it.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/systems/decisions.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/goal.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"
#include "foreplan/systems/task_definition.h"
#include "foreplan/systems/task_rewards.h"

namespace foreplan {

class TaskText;

/// Everything that is known of a task, apart from the defaults for models, planners and learners.
/// Cheap to copy; const and shared between threads.
class Task {
 public:
  /// In code. Throws InputError for a definition that is wrong or incomplete: of the environment's
  /// spec, too.
  explicit Task(TaskDefinition definition);

  /// Reads the sections of a task ("", constants, quantities, system, system.reset, conditions,
  /// goal, encoding) and marks them as known. `directory` is where a relative model path starts.
  /// Throws InputError naming the file for what is wrong in it, for a model that cannot be
  /// compiled, for a reward of other sizes, and for a task that needs MuJoCo in a build without it.
  static Task FromConfig(Config& config, const std::filesystem::path& directory);

  /// Shipped task by name, or the path of a task file ("x.toml" or anything with a '/').
  /// `overrides` ("key=value") are set before anything is read. The config carries the whole file,
  /// for the sections that other rooms read. Throws InputError, also for an unknown name.
  static std::pair<Task, Config> Load(const std::string& name_or_file,
                                      const std::vector<std::string>& overrides = {});

  /// Names of the shipped tasks this build can run, sorted.
  static std::vector<std::string> ShippedNames();

  [[nodiscard]] const std::string& name() const { return definition_->name; }
  [[nodiscard]] const std::string& summary() const { return definition_->summary; }
  [[nodiscard]] const EnvironmentSpec& spec() const { return *spec_; }
  [[nodiscard]] int episode_length() const { return definition_->episode_length; }  // [steps]
  /// Standard deviation of what every observed component is off by when a controller sees it;
  /// rewards are of the true ones.
  [[nodiscard]] double measurement_noise() const { return definition_->measurement_noise; }
  [[nodiscard]] const Goal& goal() const { return goal_; }
  [[nodiscard]] const Encoding& encoding() const { return encoding_; }

  /// What loops act in: a clone of the system (with conditions: of the first), what the factory
  /// makes, or the only environment there is.
  [[nodiscard]] std::shared_ptr<Environment> MakeEnvironment() const;

  // Who needs to read and set states asks for a system. These throw InputError, in one line, where
  // the task is of an environment that shows none.

  /// No file says what it is: only the program that made it can make it again.
  [[nodiscard]] bool is_made_in_code() const { return text_ == nullptr; }
  [[nodiscard]] bool has_system() const { return definition_->system != nullptr; }
  /// With conditions: the first.
  [[nodiscard]] std::unique_ptr<System> MakeSystem() const;
  /// At least 1: a task without a section [conditions] is its only one.
  [[nodiscard]] int condition_count() const;
  [[nodiscard]] std::unique_ptr<System> MakeSystem(int condition) const;
  [[nodiscard]] int unseen_count() const { return static_cast<int>(definition_->unseen.size()); }
  [[nodiscard]] std::unique_ptr<System> MakeUnseenSystem(int unseen) const;
  /// Systems that differ from the task's in the values of some parameters, see
  /// SystemFactory::MakeFamily. For tasks of a file, without conditions.
  [[nodiscard]] SystemFamily MakeFamily(const std::string& where,
                                        const std::vector<std::string>& parameters) const;

  /// Whether a step is worth what the environment pays for it. With action_repeat it pays the sum
  /// of what the task's reward gives for every control period, and ends where that ends.
  [[nodiscard]] bool environment_pays() const { return rewards_.environment_pays; }
  /// What counts where the environment does not pay: returns are sums of it. Throws InputError
  /// where it pays.
  [[nodiscard]] const Reward& reward() const;
  /// What else ends episodes beside the environment, by its flags; null: nothing does.
  [[nodiscard]] const Reward* termination() const { return rewards_.reward.get(); }
  /// Whether what planners maximise is learned beside the dynamics.
  [[nodiscard]] bool planning_reward_is_learned() const { return rewards_.planning == nullptr; }
  /// What planners maximise: the reward, unless the task names a denser one for planning. Throws
  /// InputError where it is learned.
  [[nodiscard]] const Reward& planning_reward() const;
  [[nodiscard]] std::shared_ptr<const Reward> shared_planning_reward() const;

  /// Writes the sections of a task so that Load of the text gives this task again. `directory` is
  /// where the text will stand; files the task needs are copied there, models with all that they
  /// name (see CopyMjcf); "": anywhere, and no file is written. Of a task made in code no more than
  /// its name, summary and length: nothing reads it. Throws RunError when the disk refuses.
  void Save(ConfigWriter& writer, const std::filesystem::path& directory) const;

 private:
  std::shared_ptr<const TaskDefinition> definition_;
  std::shared_ptr<const EnvironmentSpec> spec_;
  std::shared_ptr<const DecisionRule> decisions_;  // null: actions act as they are
  Encoding encoding_;                              // complete
  Goal goal_;
  TaskRewards rewards_;
  std::shared_ptr<const TaskText> text_;  // null: made in code
};

}  // namespace foreplan

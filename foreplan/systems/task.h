// A task: a system, what is wanted of it, how long, and how a model should look at it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// Section [conditions]: variants of the system that one learner is to master.
struct ConditionOptions {
  std::vector<std::string>
      set;  // TOML for [system], e.g. "system.body_offset = ['arm = (0, 1, 0)']"
  std::vector<std::string> unseen;  // the same, of variants that it is only judged on

  void Visit(OptionsVisitor& visitor);
};

/// Section [goal]: what an episode is judged by besides its return, at its last observation.
struct GoalOptions {
  std::string distance = "distance";         // name of |components - target|
  std::vector<std::string> components = {};  // observation components; empty: no goal
  std::vector<double> target = {};           // as many
  std::string success = "success";  // name of: success_component, or the distance, < success_below
  std::string success_component = {};  // empty: the distance
  double success_below = 0;

  void Visit(OptionsVisitor& visitor);
};

/// The same, looked up in the observation.
class Goal {
 public:
  Goal() = default;
  /// Throws InputError for unknown components and a target of another size.
  Goal(const std::string& where, const GoalOptions& options, const EnvironmentSpec& spec);

  [[nodiscard]] bool exists() const { return !places_.empty(); }
  [[nodiscard]] const GoalOptions& options() const { return options_; }
  [[nodiscard]] double Distance(std::span<const double> observation) const;
  [[nodiscard]] bool Reached(std::span<const double> observation) const;

 private:
  GoalOptions options_;
  std::vector<size_t> places_;
  std::optional<size_t> success_place_;  // none: the distance
};

/// Everything a task file says, apart from the defaults for models, planners and learners. Cheap to
/// copy; const and shared between threads.
class Task {
 public:
  /// Reads the sections of a task ("", constants, quantities, system, system.reset, conditions,
  /// goal, encoding) and marks them as known. `directory` is where a relative model path starts.
  /// Throws InputError naming the file for what is wrong in it, for a model that cannot be
  /// compiled, for a reward of other sizes, and for a task that needs MuJoCo in a build without it.
  static Task FromConfig(Config& config, const std::filesystem::path& directory);

  /// Shipped task by name, or the path of a task file ("x.toml" or anything with a '/').
  /// `overrides` ("key=value") are set before anything is read. The config carries the whole file,
  /// for the sections that other rooms read. Throws InputError, also for an unknown name.
  static std::pair<Task, Config> Load(const std::string& name_or_file,
                                      std::span<const std::string> overrides = {});

  /// Names of the shipped tasks this build can run, sorted.
  static std::vector<std::string> ShippedNames();

  /// See SystemFactory. Throws InputError, also for a task with conditions.
  [[nodiscard]] SystemFamily MakeFamily(const std::string& where,
                                        const std::vector<std::string>& parameters) const;
  /// With conditions: the first.
  [[nodiscard]] std::unique_ptr<System> MakeSystem() const { return prototype_->Clone(); }
  /// At least 1: a task without a section [conditions] is its only one.
  [[nodiscard]] int condition_count() const;
  [[nodiscard]] std::unique_ptr<System> MakeSystem(int condition) const;
  [[nodiscard]] int unseen_count() const { return static_cast<int>(unseen_.size()); }
  [[nodiscard]] std::unique_ptr<System> MakeUnseenSystem(int unseen) const;
  [[nodiscard]] const EnvironmentSpec& spec() const { return prototype_->spec(); }
  /// What counts: returns are sums of it.
  [[nodiscard]] const Reward& reward() const { return *reward_; }
  /// What planners maximise: the reward, unless the task names a denser one for planning.
  [[nodiscard]] const Reward& planning_reward() const { return *planning_reward_; }
  [[nodiscard]] std::shared_ptr<const Reward> shared_planning_reward() const {
    return planning_reward_;
  }
  [[nodiscard]] const Goal& goal() const { return goal_; }
  [[nodiscard]] const Encoding& encoding() const { return encoding_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& summary() const { return summary_; }
  [[nodiscard]] int episode_length() const { return episode_length_; }  // [steps]
  /// Standard deviation of what every observed component is off by when a controller sees it;
  /// rewards are of the true ones.
  [[nodiscard]] double measurement_noise() const { return measurement_noise_; }

  /// Writes the sections of a task so that Load of the text gives this task again. `directory` is
  /// where the text will stand; a model file the task needs is copied there (a model that includes
  /// other files is named by its full path instead). Throws RunError when the disk refuses.
  void Save(ConfigWriter& writer, const std::filesystem::path& directory) const;

 private:
  Task() = default;

  std::string name_;
  std::string summary_;
  std::string reward_text_;  // the name of a shipped reward, or an expression
  std::string planning_reward_text_;
  std::string termination_text_;  // an expression, or ""
  ExpressionDefinitions definitions_;
  int episode_length_ = 0;
  double measurement_noise_ = 0;
  Encoding encoding_;
  std::shared_ptr<const SystemFactory> factory_;
  std::shared_ptr<const System> prototype_;
  ConditionOptions conditions_;
  std::vector<std::shared_ptr<const System>> variants_;  // one per condition
  std::vector<std::shared_ptr<const System>> unseen_;
  Goal goal_;
  std::shared_ptr<const Reward> reward_;
  std::shared_ptr<const Reward> planning_reward_;
};

}  // namespace foreplan

// A task as a file has it, so that a run can write it down.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/goal.h"
#include "foreplan/systems/system_factory.h"
#include "foreplan/systems/task_definition.h"

namespace foreplan {

/// "<where>: unknown <what> 'nam' (did you mean 'name'?); 'foreplan list' names the tasks"; `where`
/// may be empty.
InputError UnknownTask(std::string_view where, std::string_view what, std::string_view name);

/// Names become parts of file names. Throws InputError, which starts with `where`.
void CheckTaskName(const std::string& where, const std::string& name);

/// The top-level keys of a task file.
struct TaskOptions {
  std::string name;
  std::string summary;
  std::string reward;
  std::string planning_reward;
  std::string termination;
  int episode_length = 0;  // [steps]; 0 is only the mark of a missing key
  int action_repeat = 1;
  double action_filter = 0;  // [s]
  double measurement_noise = 0;

  void Visit(OptionsVisitor& visitor);
};

/// Section [conditions]: variants of the system that one learner is to master.
struct ConditionOptions {
  std::vector<std::string>
      set;  // TOML for [system], e.g. "system.body_offset = ['arm = (0, 1, 0)']"
  std::vector<std::string> unseen;  // the same, of variants that it is only judged on

  void Visit(OptionsVisitor& visitor);
};

/// Whether the configuration is of a task that only its program knows, and says so.
bool IsMadeInCode(Config& config);

/// The key system.type. Throws InputError when it is missing or names no type.
std::string ReadSystemType(Config& config);

/// Const and shared between threads.
class TaskText {
 public:
  /// See Task::FromConfig.
  TaskText(Config& config, const std::filesystem::path& directory);

  /// What the text says.
  [[nodiscard]] TaskDefinition Definition() const;
  /// See Task::MakeFamily.
  [[nodiscard]] SystemFamily MakeFamily(const std::string& where,
                                        const std::vector<std::string>& parameters) const {
    return factory_->MakeFamily(where, parameters);
  }
  /// See Task::Save. As it was said: what follows from it (a default that is another key's value,
  /// the names that a pattern matched) follows again when the text is read.
  void Save(ConfigWriter& writer, const std::filesystem::path& directory) const;

 private:
  std::string where_;  // the file
  TaskOptions options_;
  ExpressionText reward_;
  ExpressionText planning_reward_;
  ExpressionText termination_;
  ExpressionDefinitions definitions_;
  std::unique_ptr<const SystemFactory> factory_;
  ConditionOptions conditions_;
  std::vector<std::shared_ptr<const SystemFactory>> variant_factories_;  // one per condition
  std::vector<std::shared_ptr<const SystemFactory>> unseen_factories_;
  std::vector<std::shared_ptr<const System>> variants_;  // one per condition
  std::vector<std::shared_ptr<const System>> unseen_;
  GoalOptions goal_;
  Encoding encoding_;
};

}  // namespace foreplan

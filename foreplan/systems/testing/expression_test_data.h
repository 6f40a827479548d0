// For tests: the expressions of the shipped tasks, testdata/expressions/<task>.toml.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/options.h"
#include "foreplan/core/testing/source_dir.h"
#include "foreplan/systems/rewards/expression_reward.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {

struct ShippedExpression {
  std::string reward;
  std::string planning_reward;
  std::string termination;
  ExpressionDefinitions definitions;

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("reward", reward, "");
    if (planning_reward.empty()) planning_reward = reward;
    visitor.Field("planning_reward", planning_reward, "");
    visitor.Field("termination", termination, "");
  }

  static ShippedExpression Load(const std::string& task) {
    Config config = Config::FromFile(FOREPLAN_SOURCE_DIR "/testdata/expressions/" + task + ".toml");
    ShippedExpression expression;
    config.Read("", expression);
    expression.definitions = ExpressionDefinitions::Read(config);
    config.ThrowOnUnknownKeys();
    return expression;
  }

  /// `text` is `reward` or `planning_reward`.
  [[nodiscard]] std::unique_ptr<const Reward> Compile(const EnvironmentSpec& spec,
                                                      const std::string& text) const {
    std::optional<ExpressionText> end;
    if (!termination.empty()) end = ExpressionText{"termination", termination};
    return std::make_unique<const ExpressionReward>(spec, definitions,
                                                    ExpressionText{"reward", text}, end);
  }
};

/// Those whose reward is the name of a shipped one. Every process that has such tests asks, so no
/// simulator is made for it.
inline std::vector<std::string> TasksWithBuiltInRewards() {
  struct RewardOfTask {
    std::string text;

    void Visit(OptionsVisitor& visitor) { visitor.Field("reward", text, ""); }
  };
  const std::vector<std::string> built_in = RewardNames();
  std::vector<std::string> names = Task::ShippedNames();
  std::erase_if(names, [&](const std::string& name) {
    RewardOfTask reward;
    Config::FromFile(TasksDirectory() / (name + ".toml")).Read("", reward);
    return std::ranges::find(built_in, reward.text) == built_in.end();
  });
  return names;
}

}  // namespace foreplan

#include "foreplan/systems/task_rewards.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/rewards/expression_reward.h"

namespace foreplan {
namespace {

/// Makes the rewards of a task from their texts.
class TaskRewardMaker {
 public:
  TaskRewardMaker(const TaskDefinition& task, const EnvironmentSpec& spec, const System* system)
      : task_(task), spec_(spec), system_(system) {
    if (!task.termination.text.empty()) termination_ = task.termination;
    if (system != nullptr) unobserved_ = Unobserved(system->spec());
  }

  [[nodiscard]] std::shared_ptr<const Reward> Make(const ExpressionText& text) const {
    if (!IsRewardName(text.text)) return FromExpression(text, nullptr);
    RefuseTermination(fmt::format("the reward '{}'", text.text));
    return Named(text.text);
  }

  /// An expression ends episodes as the task's reward does.
  [[nodiscard]] std::shared_ptr<const Reward> MakeForPlanning(
      const ExpressionText& text, const std::shared_ptr<const Reward>& ends) const {
    if (IsRewardName(text.text)) return Named(text.text);
    return FromExpression(text, ends);
  }

  /// Pays nothing and ends episodes where the task says; null when it does not say.
  [[nodiscard]] std::shared_ptr<const Reward> MakeTermination() const {
    return termination_ ? FromExpression({termination_->where, "0"}, nullptr) : nullptr;
  }

  void RefuseTermination(const std::string& beside) const {
    if (!termination_) return;
    throw InputError(
        fmt::format("{}: found one beside {}, which has its own, expected an "
                    "expression as the reward",
                    termination_->where, beside));
  }

  /// A function of the user's.
  [[nodiscard]] std::shared_ptr<const Reward> Checked(
      const char* key, const std::shared_ptr<const Reward>& reward) const {
    const std::string where = fmt::format("{}: {}", task_.where, key);
    if (reward == nullptr) throw InputError(where + ": found null, expected a function");
    CheckSizes(where, *reward, {spec_.observation_dim(), spec_.action_dim()});
    return reward;
  }

 private:
  [[nodiscard]] std::shared_ptr<const Reward> Named(const std::string& name) const {
    try {
      return MakeReward(name, spec_.observation_dim(), spec_.action_dim());
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {}", task_.where, error.what()));
    }
  }

  /// `terminations`: of another reward; null: those of the task's text.
  [[nodiscard]] std::shared_ptr<const Reward> FromExpression(
      const ExpressionText& source, const std::shared_ptr<const Reward>& terminations) const {
    if (IsExpressionName(source.text)) CheckSingleName(source);
    const auto reward = terminations != nullptr
                            ? std::make_shared<const ExpressionReward>(
                                  spec_, task_.definitions, source, terminations, unobserved_)
                            : std::make_shared<const ExpressionReward>(
                                  spec_, task_.definitions, source, termination_, unobserved_);
    if (system_ != nullptr) reward->CheckAtReset(*system_->Clone());
    return reward;
  }

  // A single word may have been meant to be the name of a reward.
  void CheckSingleName(const ExpressionText& source) const {
    std::vector<std::string> known = RewardNames();
    known.emplace_back("time");
    for (const NamedQuantity& quantity : task_.definitions.quantities) {
      known.push_back(quantity.name);
    }
    for (const NamedConstant& constant : task_.definitions.constants) {
      known.push_back(constant.name);
    }
    for (const auto* components : {&spec_.action, &spec_.observation}) {
      for (const Component& component : *components) known.push_back(component.name);
    }
    if (IsReservedWord(source.text) ||
        std::find(known.begin(), known.end(), source.text) != known.end()) {
      return;
    }
    throw UnknownName(source.where, "reward or quantity", source.text, known);
  }

  const TaskDefinition& task_;
  const EnvironmentSpec& spec_;
  const System* system_;
  std::vector<Component> unobserved_;  // of the system's state
  std::optional<ExpressionText> termination_;
};

}  // namespace

bool IsRewardName(const std::string& text) {
  const std::vector<std::string> names = RewardNames();
  return std::find(names.begin(), names.end(), text) != names.end();
}

TaskRewards MakeTaskRewards(const TaskDefinition& definition, const EnvironmentSpec& spec,
                            const System* system) {
  const TaskRewardMaker make(definition, spec, system);
  TaskRewards rewards;
  std::shared_ptr<const Reward> ends;  // of another reward that planning takes the ends from
  if (const auto* text = std::get_if<ExpressionText>(&definition.reward)) {
    rewards.reward = make.Make(*text);
    if (IsRewardName(text->text)) ends = rewards.reward;
  } else if (const auto* own = std::get_if<std::shared_ptr<const Reward>>(&definition.reward)) {
    make.RefuseTermination("a reward that is a function");
    ends = rewards.reward = make.Checked("reward", *own);
  } else if (std::holds_alternative<PaidByEnvironment>(definition.reward)) {
    rewards.environment_pays = true;
    rewards.reward = make.MakeTermination();
  } else {
    const bool learned = std::holds_alternative<LearnedFromData>(definition.reward);
    throw InputError(
        fmt::format("{}: reward: found {}, expected an expression, the name of a "
                    "reward, a function, or what the environment pays",
                    definition.where,
                    learned ? "one that is learned, which only planning_reward can be" : "none"));
  }

  if (const auto* text = std::get_if<ExpressionText>(&definition.planning_reward)) {
    const auto* reward = std::get_if<ExpressionText>(&definition.reward);
    const bool is_same = reward != nullptr && reward->text == text->text;
    rewards.planning = is_same ? rewards.reward : make.MakeForPlanning(*text, ends);
  } else if (const auto* own =
                 std::get_if<std::shared_ptr<const Reward>>(&definition.planning_reward)) {
    rewards.planning = make.Checked("planning_reward", *own);
  } else if (std::holds_alternative<std::monostate>(definition.planning_reward)) {
    if (!rewards.environment_pays) rewards.planning = rewards.reward;
  } else if (std::holds_alternative<PaidByEnvironment>(definition.planning_reward)) {
    throw InputError(
        fmt::format("{}: planning_reward: found what the environment pays, which no "
                    "plan can know, expected what is learned of it",
                    definition.where));
  }
  return rewards;
}

}  // namespace foreplan

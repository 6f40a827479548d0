// What a task is made of, in code; a task file is read into the same (task.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/goal.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// What the environment says: every step must come with a reward.
struct PaidByEnvironment {};
/// What is learned beside the dynamics, from what the steps of the data earned; for planning only.
struct LearnedFromData {};
/// Who says what a step is worth: nobody yet, the environment, what is learned, the name of a
/// shipped reward or an expression, or a function of one's own.
using RewardSource = std::variant<std::monostate, PaidByEnvironment, LearnedFromData,
                                  ExpressionText, std::shared_ptr<const Reward>>;

/// Makes an environment that works beside those it made before. May be called by several threads.
using EnvironmentFactory = std::function<std::unique_ptr<Environment>()>;

struct TaskDefinition {
  std::string name;          // letters, digits, '_', '-' and '.'
  std::string summary = {};  // one line

  // What acts, exactly one of these.
  std::shared_ptr<const System> system = {};      // cloned whenever one is needed
  std::shared_ptr<Environment> environment = {};  // the only one, as a robot is
  EnvironmentFactory make_environment = {};       // called once for the spec, too

  RewardSource reward = PaidByEnvironment{};  // what counts: returns are sums of it
  /// What planners maximise. None: the reward, learned where the environment pays it.
  RewardSource planning_reward = {};
  /// Where an episode ends, an expression; "": where reward or environment say so. Not beside a
  /// reward that is a function or a shipped one, which have their own.
  ExpressionText termination = {};
  ExpressionDefinitions definitions = {};  // what expressions may name

  int episode_length = 0;        // [steps], 1 ... 10^6: a limit of time, no termination
  int action_repeat = 1;         // control periods of the system per step, 1 ... 1000
  double action_filter = 0;      // time constant of a low pass of the actions [s]; 0: none
  double measurement_noise = 0;  // deviation of every observed component from the true one
  Encoding encoding = {};        // how observations enter a model
  GoalOptions goal = {};

  // Variants of the system that one learner is to master, and those it is only judged on.
  std::vector<std::shared_ptr<const System>> conditions = {};
  std::vector<std::shared_ptr<const System>> unseen = {};

  /// Where messages say a mistake is: a file, or "task '<name>'" when empty.
  std::string where = {};
};

}  // namespace foreplan

// What a run of local models says of itself: metrics of an iteration, tests of the last policies.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/learners/local_condition.h"
#include "foreplan/learners/local_models.h"

namespace foreplan {

using Eigen::MatrixXd;

void LocalModelsLearner::Record(const std::string& name, double value) {
  Tell(&RunObserver::OnMetric, MetricRow{episodes_, total_steps_, name, value});
}

void LocalModelsLearner::Report(double seconds) {
  double error = 0;
  for (const auto& condition : conditions_) {
    const LocalCondition::Improvement& found = condition->found;
    const std::string prefix = condition->Prefix();
    Record(prefix + "cost", condition->sampled_cost);
    if (context_.task.goal().exists()) {
      Record(prefix + context_.task.goal().options().distance, condition->sampled_distance);
    }
    Record(prefix + "expected_cost", found.expected_cost);
    if (found.judged) {
      Record(prefix + "predicted_improvement", found.predicted);
      Record(prefix + "actual_improvement", found.actual);
      Record(prefix + "previous_fit_rmse", found.previous_fit_error);
      error += found.previous_fit_error / static_cast<double>(conditions_.size());
    }
    if (condition->accepted) Record(prefix + "taken_back", found.taken_back ? 1 : 0);
    Record(prefix + "step_multiplier", condition->step_multiplier);
    Record(prefix + "kl_bound", found.kl_bound);
    Record(prefix + "kl", found.step.kl);
    Record(prefix + "lambda", found.step.lambda);
    Record(prefix + "step_ok", found.step.ok() ? 1 : 0);
    Record(prefix + "backward_passes", found.step.passes);
    Record(prefix + "least_rank", found.least_rank);
    Record(prefix + "largest_condition", found.largest_condition);
  }
  if (iterations_ > 1) Record(std::string(kModelErrorMetric), error);
  Record("iteration.seconds", seconds);
}

// One rollout without noise and some with white noise, of every condition.
void LocalModelsLearner::TestPolicies() {
  const int each = 1 + options_.test_rollouts;
  std::vector<LocalRollout> rollouts(conditions_.size() * static_cast<size_t>(each));
  context_.executor->ParallelFor(static_cast<int>(rollouts.size()), [&](int task, int worker) {
    rollouts[static_cast<size_t>(task)] = RollOutTest(task / each, task % each, worker);
  });
  tests_.assign(conditions_.size(), {});
  for (size_t i = 0; i < rollouts.size(); ++i) {
    AddTest(rollouts[i], i % static_cast<size_t>(each) != 0, tests_[i / static_cast<size_t>(each)]);
  }
  for (Test& test : tests_) {
    // NaN when all of them diverged; 0 without any.
    if (options_.test_rollouts > 0) test.noisy_return /= options_.test_rollouts - test.diverged;
  }
  if (!global_) return;
  const Key key = key_.Fold(kGlobalTest);
  for (size_t i = 0; i < tests_.size(); ++i) {
    tests_[i].global = TestGlobalPolicy(*systems_[0][i], key.Fold(0).Fold(i));
  }
  unseen_tests_.clear();
  for (int i = 0; i < context_.task.unseen_count(); ++i) {
    unseen_tests_.push_back(TestGlobalPolicy(*context_.task.MakeUnseenSystem(i),
                                             key.Fold(1).Fold(static_cast<uint64_t>(i))));
  }
}

void LocalModelsLearner::AddTest(const LocalRollout& rollout, bool noisy, Test& test) const {
  const auto [distance, success] = JudgeRollout(rollout);
  const bool diverged = !rollout.episode.divergence.empty();
  const double value = rollout.episode.episode_return;
  if (!noisy) {
    test.clean_return = diverged ? std::numeric_limits<double>::quiet_NaN() : value;
    test.clean_distance = distance;
    test.clean_success = success;
    return;
  }
  test.diverged += diverged ? 1 : 0;
  test.noisy_return += diverged ? 0 : value;
  test.noisy_distance += distance / options_.test_rollouts;
  test.noisy_successes += success ? 1 : 0;
}

// Distance from the goal where the last action is costed, or where the episode ended, and success.
std::pair<double, bool> LocalModelsLearner::JudgeRollout(const LocalRollout& rollout) const {
  const Goal& goal = context_.task.goal();
  if (!goal.exists()) return {0, false};
  const std::span<const double> last(
      rollout.observations.data() +
          static_cast<ptrdiff_t>(std::min(rollout.episode.steps, horizon_ - 1)) * nx_,
      static_cast<size_t>(nx_));
  return {goal.Distance(last), rollout.episode.steps == horizon_ && goal.Reached(last)};
}

// As many rollouts as the local policies' tests.
LocalModelsLearner::GlobalTest LocalModelsLearner::TestGlobalPolicy(System& system, Key key) {
  GlobalTest test;
  for (int number = 0; number <= options_.test_rollouts; ++number) {
    const Key own = key.Fold(static_cast<uint64_t>(number));
    const auto [distance, success] =
        JudgeRollout(RollOut(context_.task, system, Noisy(*global_), TestNoise(number, own.Fold(0)),
                             own.Fold(1), context_.stop));
    if (number == 0) {
      test.distance = distance;
      test.success = success;
    } else {
      test.noisy_successes += success ? 1 : 0;
    }
  }
  return test;
}

// The first of a policy's tests is without noise.
MatrixXd LocalModelsLearner::TestNoise(int number, Key key) const {
  if (number == 0) return MatrixXd::Zero(nu_, horizon_);
  return ExplorationNoise(nu_, horizon_, options_.noise_smoothing, key);
}

LocalRollout LocalModelsLearner::RollOutTest(int condition, int number, int worker) {
  const Key key =
      key_.Fold(kTest).Fold(static_cast<uint64_t>(condition)).Fold(static_cast<uint64_t>(number));
  const auto at = static_cast<size_t>(condition);
  return RollOut(context_.task, *systems_[static_cast<size_t>(worker)][at], conditions_[at]->policy,
                 TestNoise(number, key.Fold(0)), key.Fold(1), context_.stop);
}

nlohmann::ordered_json LocalModelsLearner::UnseenResults() const {
  double distance = 0;
  int successes = 0;
  int noisy_successes = 0;
  for (const GlobalTest& test : unseen_tests_) {
    distance += test.distance / static_cast<double>(unseen_tests_.size());
    successes += test.success ? 1 : 0;
    noisy_successes += test.noisy_successes;
  }
  const GoalOptions& goal = context_.task.goal().options();
  return {{"conditions", unseen_tests_.size()},
          {goal.success, successes},
          {goal.success + "_noisy", noisy_successes},
          {"mean_" + goal.distance, distance}};
}

nlohmann::ordered_json LocalModelsLearner::TestResults(const Test& test) const {
  nlohmann::ordered_json result = {{"clean_return", test.clean_return},
                                   {"noisy_return", test.noisy_return}};
  if (test.diverged > 0) result["noisy_diverged"] = test.diverged;
  if (!context_.task.goal().exists()) return result;
  const GoalOptions& goal = context_.task.goal().options();
  result["clean_" + goal.distance] = test.clean_distance;
  result["noisy_" + goal.distance] = test.noisy_distance;
  result[goal.success + "_clean"] = test.clean_success;
  result[goal.success + "_noisy"] = test.noisy_successes;
  if (!global_) return result;
  result["global_" + goal.distance] = test.global.distance;
  result["global_" + goal.success] = test.global.success;
  result["global_" + goal.success + "_noisy"] = test.global.noisy_successes;
  return result;
}

nlohmann::ordered_json LocalModelsLearner::Results() const {
  nlohmann::ordered_json conditions = nlohmann::ordered_json::array();
  for (size_t i = 0; i < tests_.size(); ++i) {
    nlohmann::ordered_json result = {{"condition", i + 1}};
    result.update(TestResults(tests_[i]));
    conditions.push_back(std::move(result));
  }
  nlohmann::ordered_json results = {{"iterations", iterations_},
                                    {"seconds_per_iteration_outside_simulator",
                                     iterations_ == 0 ? 0 : times_.fitting_seconds / iterations_},
                                    {"conditions", std::move(conditions)}};
  if (!unseen_tests_.empty()) results["unseen"] = UnseenResults();
  return results;
}

}  // namespace foreplan

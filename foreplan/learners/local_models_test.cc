#include "foreplan/learners/local_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/dataset.h"
#include "foreplan/learners/testing/saved_states.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

TEST(NextStepMultiplier, AsRecorded) {
  const nlohmann::json golden = ReadTestData("gps/lqr_special.json").at("step_multiplier");
  for (size_t i = 0; i < golden.at("before").size(); ++i) {
    EXPECT_NEAR(NextStepMultiplier(golden.at("before").at(i), golden.at("predicted").at(i),
                                   golden.at("actual").at(i)),
                golden.at("after").at(i).get<double>(), 1e-12)
        << i;
  }
}

TEST(NextStepMultiplier, ShrinksAsFarAsItMayWhereNothingIsKnown) {
  EXPECT_DOUBLE_EQ(NextStepMultiplier(1, std::nan(""), 3), 0.1);
  EXPECT_DOUBLE_EQ(NextStepMultiplier(1, 3, std::nan("")), 0.1);
}

// Balance a pendulum that starts near upright, from two conditions: half a second of computing.
const TestTask kPendulum{
    "pendulum",
    {"episode_length=30", "system.reset.velocity=0.1",
     "conditions.set=['system.reset.position=0.1', 'system.reset.position=0.3']",
     "local_models.rollouts=6", "local_models.initial=\"pd\"",
     "local_models.initial_pd.position_gain=0", "local_models.initial_pd.variance=1"}};

class LocalModelsPrior : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Priors, LocalModelsPrior, testing::Values("none", "mixture", "network"));

TEST_P(LocalModelsPrior, LearnsToBalanceAPendulum) {
  const std::string prior = std::string("local_models.prior=\"") + GetParam() + "\"";
  TestRun test(Episodes(72, "local_models"), 1,
               {prior, "model.width=16", "fit.min_steps=50", "fit.max_steps=50"}, kPendulum);
  test.learner->Run();
  for (const char* condition : {"condition1", "condition2"}) {
    const std::vector<double> cost = test.Values(std::string(condition) + ".cost");
    ASSERT_EQ(cost.size(), 6u);
    EXPECT_LT(cost.back(), 0.7 * cost.front()) << condition;
    for (const double ok : test.Values(std::string(condition) + ".step_ok")) EXPECT_EQ(ok, 1);
    // The bound holds, within its tolerance.
    const std::vector<double> kl = test.Values(std::string(condition) + ".kl");
    const std::vector<double> bound = test.Values(std::string(condition) + ".kl_bound");
    for (size_t i = 0; i < kl.size(); ++i) EXPECT_LE(kl[i], 1.01 * bound[i]);
  }
}

TEST(LocalModelsLearner, SaysWhatItFoundPerCondition) {
  TestRun test(Episodes(24, "local_models"), 1, {}, kPendulum);
  test.learner->Run();
  EXPECT_EQ(test.log.episodes().size(), 24u);
  EXPECT_EQ(test.log.episodes()[0].controller, "local 1");
  EXPECT_EQ(test.log.episodes()[6].controller, "local 2");
  const nlohmann::ordered_json results = test.learner->Results();
  EXPECT_EQ(results.at("iterations"), 2);
  ASSERT_EQ(results.at("conditions").size(), 2u);
  EXPECT_TRUE(results.at("conditions").at(1).contains("clean_return"));
  for (const char* metric : {"cost", "kl", "kl_bound", "lambda", "step_multiplier", "least_rank",
                             "largest_condition", "expected_cost"}) {
    EXPECT_EQ(test.Values(std::string("condition2.") + metric).size(), 2u) << metric;
  }
  for (const char* metric : {"predicted_improvement", "actual_improvement", "previous_fit_rmse"}) {
    EXPECT_EQ(test.Values(std::string("condition1.") + metric).size(), 1u) << metric;
  }
}

TEST(LocalModelsLearner, ThreadsChangeNoBit) {
  std::vector<std::string> csv;
  for (const int threads : {1, 2, 5}) {
    for (const char* global : {"false", "true"}) {  // whose rollouts are its own
      TestRun test(Episodes(36, "local_models"), threads,
                   {std::string("local_models.global_policy=") + global, "policy.width=8",
                    "policy.fit.steps=50"},
                   kPendulum);
      test.learner->Run();
      csv.push_back(test.log.EpisodesCsv() + test.learner->Results().at("conditions").dump());
    }
  }
  for (size_t i = 2; i < csv.size(); ++i) EXPECT_EQ(csv[i], csv[i % 2]) << i;
}

TEST(LocalModelsLearner, SavesRolloutsBeforeTheirFitsAndGoesOnFromThereBitForBit) {
  const std::vector<std::string> small = {"local_models.reuse=2", "model.width=8",
                                          "fit.min_steps=10",     "fit.max_steps=10",
                                          "policy.width=8",       "policy.fit.steps=50"};
  for (const char* with : {"prior=\"none\"", "prior=\"mixture\"", "prior=\"network\"",
                           "global_policy=true", "setback=0"}) {
    SCOPED_TRACE(with);
    CheckEverySavedState(Episodes(36, "local_models"),
                         TestRun::Joined(small, {std::string("local_models.") + with}), kPendulum);
  }
}

TEST(LocalModelsLearner, RolloutsAreSafeWhenTheirFitFails) {
  // One rollout per condition and no prior: the regressions are singular.
  TestRun test(Episodes(8, "local_models"), 1,
               {"local_models.rollouts=1", "local_models.prior=none"}, kPendulum);
  SavedStates saved(test);
  EXPECT_THROW(test.learner->Run(), Error);
  EXPECT_EQ(test.log.episodes().size(), 2U);  // one of each condition
  ASSERT_EQ(saved.states.size(), 1U);
  EXPECT_EQ(saved.states[0].episodes, 2U);
  EXPECT_EQ(saved.states[0].data.size(), 2 * 30);
}

TEST(LocalModelsLearner, FitsReadTheRolloutsOfSoManyIterations) {
  for (const int reuse : {1, 2, 3}) {
    TestRun test(Episodes(48, "local_models"), 1, {"local_models.reuse=" + std::to_string(reuse)},
                 kPendulum);
    SavedStates saved(test);
    test.learner->Run();
    ASSERT_EQ(saved.states.size(), 8U);  // of four iterations
    for (size_t i = 0; i < saved.states.size(); ++i) {
      const auto kept = std::min(static_cast<int>(i / 2) + 1, reuse);
      const std::map<std::string, Tensor>& tensors = saved.states[i].tensors.tensors;
      // Six rollouts of 30 actions and 31 states of three numbers; 0 Jacobians.
      EXPECT_EQ(tensors.at("condition2.rollout_actions").shape[0], kept * 6 * 30) << i;
      EXPECT_EQ(tensors.at("condition2.rollout_states").shape[0], kept * 6 * 31 * 3) << i;
    }
    // The newest come last, the oldest are forgotten.
    const auto& states = std::get<std::vector<double>>(
        saved.states.back().tensors.tensors.at("condition1.rollout_states").values);
    const Dataset& data = test.learner->data();
    const auto begin = static_cast<size_t>(data.size()) - 2 * 6 * 30;  // of the last iteration
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(states[states.size() - 6 * 31 * 3 + i],
                data.observation(static_cast<int64_t>(begin))[i]);
    }
  }
}

TEST(LocalModelsLearner, EveryRolloutOfEveryIterationHasNoiseOfItsOwn) {
  // A bound this small leaves the policies where they are: returns differ by their noise alone.
  TestRun test(Episodes(24, "local_models"), 1, {"local_models.kl_step=1e-9"}, kPendulum);
  test.learner->Run();
  std::vector<double> returns;
  for (const EpisodeRow& row : test.log.episodes()) returns.push_back(row.episode_return);
  ASSERT_EQ(returns.size(), 24U);
  // Two iterations of two conditions of six rollouts.
  double between_rollouts = 0;
  double between_iterations = 0;
  for (size_t i = 0; i < 12; ++i) {
    between_iterations += std::abs(returns[i] - returns[12 + i]) / 12;
    const size_t next = i % 6 == 5 ? i - 5 : i + 1;
    between_rollouts += std::abs(returns[i] - returns[next]) / 12;
  }
  EXPECT_GT(between_rollouts, 0);
  EXPECT_GT(between_iterations, 0.2 * between_rollouts);
}

TEST(LocalModelsLearner, DistancesAreOfTheObservationBeforeTheLastAction) {
  TestRun test(Episodes(12, "local_models"), 1,
               {"goal.components=['cos_theta']", "goal.target=[1.0]"}, kPendulum);
  test.learner->Run();
  const Dataset& data = test.learner->data();
  ASSERT_EQ(data.size(), 12 * 30);
  double sum = 0;
  for (int64_t last = 29; last < data.size(); last += 30) {
    sum += std::abs(data.observation(last)[0] - 1);
  }
  const double recorded =
      test.Values("condition1.distance")[0] + test.Values("condition2.distance")[0];
  EXPECT_NEAR(6 * recorded, sum, 1e-12);  // means over six rollouts each
}

TEST(LocalModelsLearner, BoundsEveryTimeStep) {
  TestRun test(Episodes(24, "local_models"), 1,
               {"local_models.kl_step=0.3", "local_models.adapt_step=false"}, kPendulum);
  test.learner->Run();
  for (const char* metric : {"condition1.kl_bound", "condition2.kl_bound"}) {
    const std::vector<double> bounds = test.Values(metric);
    ASSERT_EQ(bounds.size(), 2U);
    for (const double bound : bounds) EXPECT_NEAR(bound, 0.3 * 30, 1e-12);
  }
}

TEST(LocalModelsLearner, RefusesAStateThatCannotBe) {
  TestRun test(Episodes(12, "local_models"), 1, {}, kPendulum);
  test.learner->Run();
  TensorFile state;
  state.source = "state.safetensors";
  test.learner->Save(state);
  const auto message = [&](const std::string& name, Tensor tensor) -> std::string {
    TensorFile wrong = state;
    wrong.tensors.at(name) = std::move(tensor);
    TestRun other(Episodes(12, "local_models"), 1, {}, kPendulum);
    try {
      other.learner->Restore(wrong, test.learner->data());
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(
      message("condition1.rollout_actions", {{1}, std::vector<double>{0}})
          .find("tensors 'condition1.rollout_states' and 'condition1.rollout_actions': found"),
      std::string::npos);
  const auto part = [&](const std::string& name, size_t rollouts, size_t each) -> Tensor {
    const auto& all = std::get<std::vector<double>>(state.tensors.at(name).values);
    std::vector<double> newest(all.end() - static_cast<std::ptrdiff_t>(rollouts * each), all.end());
    return {{std::ssize(newest)}, std::move(newest)};
  };
  // Five rollouts of the six that an iteration takes.
  TensorFile few = state;
  few.tensors.at("condition1.rollout_states") = part("condition1.rollout_states", 5, 31 * 3);
  few.tensors.at("condition1.rollout_actions") = part("condition1.rollout_actions", 5, 30);
  std::swap(few, state);
  EXPECT_NE(message("condition1.rollout_jacobians", {{0}, std::vector<double>{}})
                .find("tensor 'condition1.rollout_actions': found 5 rollouts, expected at least 6"),
            std::string::npos);
  std::swap(few, state);
  EXPECT_NE(message("condition1.rollout_jacobians", {{1}, std::vector<double>{0}})
                .find("tensor 'condition1.rollout_jacobians': found 1 numbers, expected "),
            std::string::npos);
  EXPECT_NE(message("condition2.sampled", {{2}, std::vector<double>{std::nan(""), 0}})
                .find("tensor 'condition2.sampled', element 0: found nan"),
            std::string::npos);
  EXPECT_NE(message("local_models.counters", {{4}, std::vector<int32_t>{1, 0, -12, 360}})
                .find("tensor 'local_models.counters', element 2: found -12"),
            std::string::npos);
}

TEST(LocalModelsLearner, TakesStepsBackThatDidHarm) {
  // Bounds that do not bind lead far from the data, often to worse policies.
  TestRun test(
      Episodes(120, "local_models"), 1,
      {"local_models.setback=0.1", "local_models.kl_step=1000", "local_models.adapt_step=false"},
      kPendulum);
  test.learner->Run();
  int taken_back = 0;
  for (const std::string condition : {"condition1.", "condition2."}) {
    std::vector<double> costs;
    std::vector<double> flags;
    for (const MetricRow& row : test.log.metrics()) {
      if (row.name == condition + "cost") costs.push_back(row.value);
      if (row.name == condition + "taken_back") flags.push_back(row.value);
    }
    ASSERT_EQ(costs.size(), 10u);
    ASSERT_EQ(flags.size(), costs.size());
    double accepted = costs[0];
    for (size_t i = 0; i < costs.size(); ++i) {
      const bool harm = costs[i] > accepted + 0.1 * std::max(0.0, costs[0] - accepted);
      EXPECT_EQ(flags[i], harm ? 1 : 0) << condition << i;
      if (!harm) accepted = costs[i];
      taken_back += harm ? 1 : 0;
    }
  }
  EXPECT_GT(taken_back, 0);
}

TEST(LocalModelsLearner, OneGlobalPolicyLearnsWhatTheLocalOnesDo) {
  TestRun test(Episodes(72, "local_models"), 1,
               {"local_models.global_policy=true", "local_models.on_policy=false",
                "local_models.step.entropy_weight=0.1", "policy.width=16", "policy.fit.steps=2000"},
               kPendulum);
  test.learner->Run();
  const std::vector<double> loss = test.Values("global_policy.loss");
  ASSERT_EQ(loss.size(), 6u);
  EXPECT_LT(loss.back(), 0.5 * loss.front());  // local policies agree more and more
  for (const char* condition : {"condition1", "condition2"}) {
    for (const double ok : test.Values(std::string(condition) + ".step_ok")) EXPECT_EQ(ok, 1);
  }
}

TEST(LocalModelsLearner, RollsOutTheGlobalPolicyOnceItHasLearned) {
  std::vector<std::vector<double>> returns;
  for (const char* on_policy : {"false", "true"}) {
    TestRun test(Episodes(48, "local_models"), 1,
                 {"local_models.global_policy=true", "local_models.global_start=1",
                  std::string("local_models.on_policy=") + on_policy, "policy.width=8",
                  "policy.fit.steps=50"},
                 kPendulum);
    test.learner->Run();
    // It learns at the end of iterations 2, 3 and 4 of 4.
    EXPECT_EQ(test.Values("global_policy.loss").size(), 3u);
    EXPECT_EQ(test.log.episodes()[0].controller, "local 1");
    EXPECT_EQ(test.log.episodes()[42].controller,
              on_policy == std::string("true") ? "global 2" : "local 2");
    std::vector<double>& all = returns.emplace_back();
    for (const EpisodeRow& row : test.log.episodes()) all.push_back(row.episode_return);
    ASSERT_EQ(all.size(), 48u);
  }
  for (size_t i = 0; i < 24; ++i) EXPECT_EQ(returns[0][i], returns[1][i]) << i;
  for (size_t i = 24; i < 48; ++i) EXPECT_NE(returns[0][i], returns[1][i]) << i;
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(LocalModelsLearner, NeedsWholeEpisodes) {
  // This pole falls, and the episode with it.
  const TestTask falling{
      "gymnasium_inverted_pendulum",
      {"episode_length=100", "local_models.initial=\"pd\"", "local_models.initial_pd.variance=9"}};
  TestRun test(Episodes(5, "local_models"), 1, {}, falling);
  try {
    test.learner->Run();
    FAIL();
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("local models need whole ones"), std::string::npos);
  }
  // All are in the log, with what they had, whichever was the short one.
  ASSERT_EQ(test.log.episodes().size(), 5U);
  EXPECT_EQ(test.learner->data().size(), test.log.episodes().back().total_steps);
  EXPECT_EQ(test.log.episodes().front().end, EpisodeEnd::kTerminated);
}
#endif

TEST(LocalModelsLearner, RefusesNoiseOfMeasurementsThatItDoesNotKnow) {
  TestTask noisy = kPendulum;
  noisy.settings.emplace_back("measurement_noise=0.01");
  try {
    TestRun test(Episodes(24, "local_models"), 1, {}, noisy);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("measurement_noise: found 0.01, expected 0"),
              std::string::npos);
  }
}

TEST(LocalModelsLearner, StopsWhenAsked) {
  TestRun test(Episodes(24, "local_models"), 1, {}, kPendulum);
  test.stop.request_stop();
  EXPECT_THROW(test.learner->Run(), Interrupted);
}

}  // namespace
}  // namespace foreplan

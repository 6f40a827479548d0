#include "foreplan/learners/local_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/learners/local_cost.h"
#include "foreplan/systems/golden_test_data.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

TEST(NextStepMultiplier, AsRecorded) {
  const nlohmann::json golden = ReadTestData("gps/lqr_special.json").at("step_multiplier");
  for (size_t i = 0; i < golden.at("before").size(); ++i) {
    EXPECT_NEAR(NextStepMultiplier(golden.at("before").at(i), golden.at("predicted").at(i),
                                   golden.at("actual").at(i)),
                golden.at("after").at(i).get<double>(), 1e-12)
        << i;
  }
}

TEST(ExplorationNoise, HasUnitVarianceWhiteOrSmooth) {
  const int steps = 400;
  for (const double smoothing : {0.0, 2.0}) {
    const MatrixXd noise = ExplorationNoise(3, steps, smoothing, Key{1, 0});
    for (Eigen::Index i = 0; i < 3; ++i) {
      const double mean = noise.row(i).mean();
      const double variance = (noise.row(i).array() - mean).square().mean();
      const double next =
          (noise.row(i).tail(steps - 1).array() * noise.row(i).head(steps - 1).array()).mean();
      if (smoothing == 0) {
        EXPECT_NEAR(variance, 1, 4 * std::sqrt(2.0 / steps));
        EXPECT_NEAR(next, 0, 4 / std::sqrt(steps));
      } else {
        EXPECT_NEAR(variance, 1, 1e-12);
        // Correlation of neighbours: exp(-1 / (4 * 2^2)) = 0.94, of a series with its mean.
        EXPECT_GT(next - mean * mean, 0.85);
      }
    }
  }
}

// --- the cost -----------------------------------------------------------------------------------

/// -r of one transition.
double CostOf(const Reward& reward, const VectorXd& x, const VectorXd& u, const VectorXd& next) {
  double value = 0;
  uint8_t terminated = 0;
  reward.Evaluate({1, x.data(), u.data(), next.data()}, &value, &terminated);
  return -value;
}

TEST(LocalCost, GoesThroughTheDynamicsToTheNextObservation) {
  // This reward is a function of the action and the next observation.
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  LinearGaussianDynamics dynamics;
  Random random(Key{2, 0});
  const auto normal = [&](Eigen::Index rows, Eigen::Index columns) {
    MatrixXd m(rows, columns);
    for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = 0.3 * random.Normal();
    return m;
  };
  dynamics.steps.push_back({.A = MatrixXd::Identity(4, 4) + 0.1 * normal(4, 4),
                            .B = normal(4, 1),
                            .c = VectorXd::Zero(4),
                            .covariance = MatrixXd::Zero(4, 4)});
  const LinearGaussianTransition& f = dynamics.steps[0];
  // Near upright, where the reward is concave.
  VectorXd x(4);
  x << 0.01, 3.1, 0.02, -0.03;
  const VectorXd u = VectorXd::Constant(1, 0.4);
  dynamics.steps[0].c = VectorXd::Unit(4, 1) * 0.02 + x - f.A * x - f.B * u;
  const VectorXd next = f.A * x + f.B * u + f.c;
  LocalRollout rollout;
  rollout.observations.assign(x.data(), x.data() + 4);
  rollout.observations.insert(rollout.observations.end(), next.data(), next.data() + 4);
  rollout.actions = {u[0]};
  std::vector<QuadraticCost> costs;
  LocalCost(*reward, 4, 1, {}).Expand({&rollout}, dynamics, costs);
  ASSERT_EQ(costs.size(), 1u);
  const QuadraticCost& c = costs[0];
  const auto quadratic = [&](const VectorXd& dx, double du) {
    const VectorXd y = x + dx;
    const VectorXd v = u + VectorXd::Constant(1, du);
    return 0.5 * y.dot(c.Q * y) + v.dot(c.S * y) + 0.5 * v.dot(c.R * v) + c.q.dot(y) + c.r.dot(v) +
           c.constant;
  };
  const auto exact = [&](const VectorXd& dx, double du) {
    const VectorXd y = x + dx;
    const VectorXd v = u + VectorXd::Constant(1, du);
    return CostOf(*reward, y, v, f.A * y + f.B * v + f.c);
  };
  EXPECT_NEAR(quadratic(VectorXd::Zero(4), 0), exact(VectorXd::Zero(4), 0), 1e-12);
  // The expansion is right to the second order: errors fall with the cube of the distance.
  for (Eigen::Index i = 0; i < 4; ++i) {
    const VectorXd dx = 1e-3 * VectorXd::Unit(4, i);
    EXPECT_NEAR(quadratic(dx, 1e-3), exact(dx, 1e-3), 1e-7) << i;
  }
}

TEST(LocalCost, AveragesRollouts) {
  const auto reward = MakeReward("pendulum", 3, 1);
  LinearGaussianDynamics dynamics;
  dynamics.steps.push_back({.A = MatrixXd::Identity(3, 3),
                            .B = MatrixXd::Zero(3, 1),
                            .c = VectorXd::Zero(3),
                            .covariance = MatrixXd::Zero(3, 3)});
  LocalRollout a;
  a.observations = {1, 0, 0.5, 1, 0, 0.5};
  a.actions = {0.1};
  LocalRollout b = a;
  b.observations = {0.995, 0.0998, -0.5, 0.995, 0.0998, -0.5};
  LocalCost cost(*reward, 3, 1, {});
  std::vector<QuadraticCost> of_a, of_b, of_both;
  cost.Expand({&a}, dynamics, of_a);
  cost.Expand({&b}, dynamics, of_b);
  cost.Expand({&a, &b}, dynamics, of_both);
  EXPECT_LT((of_both[0].Q - 0.5 * (of_a[0].Q + of_b[0].Q)).norm(), 1e-12);
  EXPECT_LT((of_both[0].q - 0.5 * (of_a[0].q + of_b[0].q)).norm(), 1e-12);
  EXPECT_NEAR(of_both[0].constant, 0.5 * (of_a[0].constant + of_b[0].constant), 1e-12);
}

// --- the learner --------------------------------------------------------------------------------

// Balance a pendulum that starts near upright, from two conditions: half a second of computing.
const std::vector<std::string> kPendulum = {
    "run.algorithm=\"local_models\"",
    "episode_length=30",
    "system.reset.velocity=0.1",
    "conditions.set=['system.reset.position=0.1', 'system.reset.position=0.3']",
    "local_models.rollouts=6",
    "local_models.initial=\"pd\"",
    "local_models.initial_pd.position_gain=0",
    "local_models.initial_pd.variance=1"};

struct TestRun {
  explicit TestRun(int episodes, int threads = 1, const std::vector<std::string>& settings = {},
                   const std::string& task = "pendulum",
                   const std::vector<std::string>& base = kPendulum)
      : loaded(Task::Load(task, Joined(base, settings))), pool(threads) {
    run.algorithm = "local_models";
    run.episodes = episodes;
    learner = MakeLearner(run.algorithm, loaded.second, {loaded.first, run, pool, log, stop, {}});
  }

  static std::vector<std::string> Joined(std::vector<std::string> all,
                                         const std::vector<std::string>& settings) {
    all.insert(all.end(), settings.begin(), settings.end());
    return all;
  }

  [[nodiscard]] std::vector<double> Values(const std::string& metric) const {
    std::vector<double> values;
    for (const MetricRow& row : log.metrics()) {
      if (row.name == metric) values.push_back(row.value);
    }
    return values;
  }

  std::pair<Task, Config> loaded;
  RunOptions run;
  ThreadPool pool;
  RunLog log;
  std::atomic<bool> stop = false;
  std::unique_ptr<Learner> learner;
};

class LocalModelsPrior : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Priors, LocalModelsPrior, testing::Values("none", "mixture", "network"));

TEST_P(LocalModelsPrior, LearnsToBalanceAPendulum) {
  const std::string prior = std::string("local_models.prior=\"") + GetParam() + "\"";
  TestRun test(72, 1, {prior, "model.width=16", "fit.min_steps=50", "fit.max_steps=50"});
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
  TestRun test(24);
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
    TestRun test(36, threads);
    test.learner->Run();
    csv.push_back(test.log.EpisodesCsv() + test.learner->Results().at("conditions").dump());
  }
  EXPECT_EQ(csv[0], csv[1]);
  EXPECT_EQ(csv[0], csv[2]);
}

TEST(LocalModelsLearner, GoesOnFromACheckpointBitForBit) {
  for (const char* prior : {"none", "mixture", "network"}) {
    const std::vector<std::string> settings = {std::string("local_models.prior=\"") + prior + "\"",
                                               "local_models.reuse=2", "model.width=8",
                                               "fit.min_steps=10", "fit.max_steps=10"};
    TestRun whole(48, 1, settings);
    whole.learner->Run();
    TensorFile state;
    TestRun first(24, 1, settings);
    first.learner->Run();
    first.learner->Save(state);
    TestRun second(48, 1, settings);
    second.learner->Restore(state);
    second.learner->Run();
    std::vector<double> returns;
    for (const auto* log : {&first.log, &second.log}) {
      for (const EpisodeRow& row : log->episodes()) returns.push_back(row.episode_return);
    }
    ASSERT_EQ(returns.size(), 48u);
    for (size_t i = 0; i < 48; ++i) {
      EXPECT_EQ(returns[i], whole.log.episodes()[i].episode_return) << prior << " " << i;
    }
    const TensorFile a = whole.learner->Model();
    const TensorFile b = second.learner->Model();
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const auto& [name, tensor] : a.tensors) {
      EXPECT_EQ(tensor.values, b.tensors.at(name).values) << prior << " " << name;
    }
  }
}

TEST(LocalModelsLearner, NeedsWholeEpisodes) {
  // This pole falls, and the episode with it.
  const std::vector<std::string> falling = {"episode_length=100", "local_models.initial=\"pd\"",
                                            "local_models.initial_pd.variance=9"};
  try {
    TestRun test(5, 1, {}, "gymnasium_inverted_pendulum", falling);
    test.learner->Run();
    FAIL();
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("local models need whole ones"), std::string::npos);
  } catch (const InputError& error) {
    GTEST_SKIP() << "built without MuJoCo: " << error.what();
  }
}

TEST(LocalModelsLearner, StopsWhenAsked) {
  TestRun test(24);
  test.stop = true;
  EXPECT_THROW(test.learner->Run(), Interrupted);
}

}  // namespace
}  // namespace foreplan

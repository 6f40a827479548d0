#include "foreplan/policies/network_policy.h"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/policies/policy_trainer.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const std::vector<double> kLow = {-2, -1};
const std::vector<double> kHigh = {2, 3};

const PolicyFitOptions kQuick = {.steps = 2000};

MatrixXd RandomMatrix(Random& random, int rows, int columns) {
  MatrixXd matrix(rows, columns);
  for (double& entry : matrix.reshaped()) entry = random.Normal();
  return matrix;
}

NetworkPolicy MakePolicy(PolicyOutput output = PolicyOutput::kNone) {
  return NetworkPolicy(3, kLow, kHigh, {.output = output}, Key{1, 0});
}

/// N rollouts of T transitions through random states.
struct RandomRollouts {
  RandomRollouts(Random& random, int N, int T)
      : states(RandomMatrix(random, 3, N * (T + 1))), actions(MatrixXd::Zero(2, N * T)) {
    view = {N, T, 3, 2, states.data(), actions.data()};
  }
  MatrixXd states, actions;
  RolloutView view;
};

/// u = K x + k + noise, the same at every step.
LinearGaussianPolicy Teacher(const MatrixXd& K, const VectorXd& k, const MatrixXd& covariance,
                             int steps) {
  const LinearGaussianStep step{.action = k,
                                .state = VectorXd::Zero(K.cols()),
                                .feedforward = VectorXd::Zero(K.rows()),
                                .feedback = K,
                                .covariance = covariance};
  return LinearGaussianPolicy(std::vector<LinearGaussianStep>(static_cast<size_t>(steps), step));
}

TEST(NetworkPolicy, JacobianEqualsDifferences) {
  for (const PolicyOutput output : {PolicyOutput::kNone, PolicyOutput::kTanh}) {
    NetworkPolicy policy = MakePolicy(output);
    policy.input_normaliser().mean = {0.5, 0, -1};
    policy.input_normaliser().scale = {2, 0.7, 1};
    policy.output_normaliser().scale = {3, 0.2};
    Random random(Key{2, 0});
    const MatrixXd states = RandomMatrix(random, 3, 100);  // more than go through together
    MatrixXd actions;
    MatrixXd jacobians;
    policy.Linearize(states, actions, jacobians);
    MatrixXd high;
    MatrixXd low;
    const double step = 1e-2;  // in float, differences are good to about 1e-4
    for (int k = 0; k < 3; ++k) {
      MatrixXd moved = states;
      moved.row(k).array() += step;
      policy.Mean(moved, high);
      moved.row(k).array() -= 2 * step;
      policy.Mean(moved, low);
      for (int n = 0; n < 100; ++n) {
        const VectorXd difference = (high.col(n) - low.col(n)) / (2 * step);
        EXPECT_LT((difference - jacobians.col(k).segment(2 * n, 2)).norm(), 1e-3) << n;
      }
    }
  }
}

TEST(NetworkPolicy, TanhStaysInsideTheBounds) {
  NetworkPolicy policy = MakePolicy(PolicyOutput::kTanh);
  for (float& parameter : policy.parameters()) parameter *= 100;
  Random random(Key{2, 1});
  MatrixXd actions;
  policy.Mean(RandomMatrix(random, 3, 50), actions);
  for (const auto& u : actions.colwise()) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_GE(u[i], kLow[static_cast<size_t>(i)]);
      EXPECT_LE(u[i], kHigh[static_cast<size_t>(i)]);
    }
  }
}

TEST(NetworkPolicy, ActsWithItsCovarianceAndIsRepeatable) {
  const std::vector<double> wide = {-100, -100};
  const std::vector<double> high = {100, 100};
  NetworkPolicy policy(3, wide, high, {}, Key{1, 0});
  const MatrixXd covariance = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();
  policy.set_covariance(covariance);
  const std::vector<double> x = {0.1, -0.4, 0.7};
  const int samples = 20000;
  MatrixXd actions(2, samples);
  std::vector<double> u(2);
  for (int i = 0; i < samples; ++i) {
    policy.Act({.observation = x, .key = Key{3, static_cast<uint64_t>(i)}}, u);
    actions.col(i) << u[0], u[1];
  }
  MatrixXd mean;
  policy.Mean(Eigen::Map<const MatrixXd>(x.data(), 3, 1), mean);
  const MatrixXd off = actions.colwise() - VectorXd(mean.col(0));
  // Relative error of a variance: sqrt(2 / 20,000) = 1 %; four deviations.
  EXPECT_LT((off * off.transpose() / samples - covariance).norm(), 0.04 * covariance.norm());
  policy.Act({.observation = x, .key = Key{3, 7}}, u);
  EXPECT_EQ(u[0], actions(0, 7));
  MeanPolicy(policy).Act({.observation = x, .key = Key{3, 7}}, u);
  EXPECT_EQ(u[0], mean(0, 0));
  EXPECT_EQ(u[1], mean(1, 0));
}

TEST(NetworkPolicy, ActingAllocatesNothing) {
  NetworkPolicy policy = MakePolicy();
  policy.set_covariance(MatrixXd::Identity(2, 2));
  const std::vector<double> x = {0.1, -0.4, 0.7};
  std::vector<double> u(2);
  const auto act = [&] { policy.Act({.observation = x, .key = Key{3, 0}}, u); };
  act();
  EXPECT_EQ(testing::CountAllocations(act), 0);
}

TEST(NetworkPolicy, SavedAndRestoredItIsTheSame) {
  NetworkPolicy policy = MakePolicy();
  policy.set_covariance(0.3 * MatrixXd::Identity(2, 2));
  policy.input_normaliser().scale = {2, 3, 4};
  policy.output_normaliser().mean = {0.1, 0.2};
  TensorFile file;
  policy.Save("policy.", file);
  NetworkPolicy copy(3, kLow, kHigh, {}, Key{9, 9});
  copy.Restore("policy.", file);
  Random random(Key{2, 2});
  const MatrixXd states = RandomMatrix(random, 3, 10);
  MatrixXd a;
  MatrixXd b;
  policy.Mean(states, a);
  copy.Mean(states, b);
  EXPECT_EQ(a, b);
  EXPECT_EQ(policy.covariance(), copy.covariance());
}

TEST(NetworkPolicy, RefusesAFileWhoseNumbersCannotBeAndStaysAsItWas) {
  NetworkPolicy policy = MakePolicy();
  TensorFile file;
  file.source = "model.safetensors";
  policy.Save("policy.", file);
  const double nan = std::nan("");
  struct Case {
    const char* name;
    size_t element;
    double value;
    const char* expected;
  };
  for (const Case& wrong :
       {Case{"parameters", 5, nan, "element 5: found nan, expected a finite number"},
        Case{"input_mean", 1, INFINITY, "element 1: found inf, expected a finite number"},
        Case{"input_scale", 2, 0, "element 2: found 0, expected a finite number above 0"},
        Case{"output_mean", 0, nan, "element 0: found nan, expected a finite number"},
        Case{"output_scale", 1, -1, "element 1: found -1, expected a finite number above 0"},
        Case{"covariance", 3, nan, "element 3: found nan, expected a finite number"},
        Case{"covariance", 3, -1, "found least eigenvalue -1"}}) {
    TensorFile changed = file;
    const std::string name = std::string("policy.") + wrong.name;
    std::visit(
        [&](auto& values) {
          values[wrong.element] =
              static_cast<std::remove_reference_t<decltype(values[0])>>(wrong.value);
        },
        changed.tensors.at(name).values);
    NetworkPolicy other(3, kLow, kHigh, {}, Key{9, 9});
    other.set_covariance(MatrixXd::Identity(2, 2));
    TensorFile before;
    other.Save("policy.", before);
    try {
      other.Restore("policy.", changed);
      ADD_FAILURE() << name;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("model.safetensors: tensor '" + name),
                std::string::npos)
          << error.what();
      EXPECT_NE(std::string(error.what()).find(wrong.expected), std::string::npos) << error.what();
    }
    TensorFile after;
    other.Save("policy.", after);
    for (const auto& [key, tensor] : before.tensors) {
      EXPECT_EQ(tensor.values, after.tensors.at(key).values) << name << " " << key;
    }
  }
}

TEST(PolicyTrainer, LearnsALinearTeacherWithItsGainsAndItsNoise) {
  Random random(Key{4, 0});
  const MatrixXd K = 0.5 * RandomMatrix(random, 2, 3);
  const VectorXd k = Eigen::Vector2d(0.3, -0.1);
  const MatrixXd covariance = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();
  const RandomRollouts rollouts(random, 40, 25);
  Supervision data;
  data.Add(Teacher(K, k, covariance, 25), rollouts.view, 0, Key{});
  NetworkPolicy policy = MakePolicy();
  const PolicyFitReport report = PolicyTrainer(policy, kQuick).Fit(data, Key{5, 0});
  EXPECT_EQ(report.rows, 1000);
  EXPECT_LT(report.loss, 1e-3);
  EXPECT_LT((policy.covariance() - covariance).norm(), 1e-12);

  const LinearGaussianPolicy linear = LinearizeAlong(policy, rollouts.view);
  EXPECT_EQ(linear.horizon(), 25);
  for (int t = 0; t < 25; ++t) {
    EXPECT_LT((linear.step(t).feedback - K).norm(), 0.1) << t;
    EXPECT_LT((linear.Mean(t, VectorXd::Zero(3)) - k).norm(), 0.1) << t;
  }
}

TEST(PolicyTrainer, StatesNearbyTeachGainsThatTheRolloutsDoNotShow) {
  Random random(Key{4, 5});
  const MatrixXd K = 0.5 * RandomMatrix(random, 2, 3);
  RandomRollouts rollouts(random, 3, 50);
  // Three rollouts that differ in all coordinates together: one direction only.
  for (Eigen::Index i = 0; i < rollouts.states.cols(); ++i) {
    rollouts.states.col(i).setConstant(rollouts.states(0, i));
  }
  std::vector<double> errors;
  for (const int nearby : {0, 20}) {
    Supervision data;
    data.Add(Teacher(K, VectorXd::Zero(2), MatrixXd::Identity(2, 2), 50), rollouts.view, nearby,
             Key{6, 0});
    EXPECT_EQ(data.actions.size(), static_cast<size_t>(3 * 50 * 2 * (1 + nearby)));
    NetworkPolicy policy = MakePolicy();
    PolicyTrainer(policy, kQuick).Fit(data, Key{5, 3});
    const LinearGaussianPolicy linear = LinearizeAlong(policy, rollouts.view);
    double error = 0;
    for (int t = 0; t < 50; ++t) error += (linear.step(t).feedback - K).norm() / 50;
    errors.push_back(error);
  }
  EXPECT_LT(errors[1], 0.1);
  EXPECT_GT(errors[0], 3 * errors[1]);
}

TEST(PolicyTrainer, TeachersThatDisagreeAreWeightedByTheirPrecisions) {
  Random random(Key{4, 1});
  const MatrixXd zero = MatrixXd::Zero(2, 3);
  const VectorXd u1 = Eigen::Vector2d(1, 0);
  const VectorXd u2 = Eigen::Vector2d(0, 2);
  const MatrixXd S1 = (MatrixXd(2, 2) << 1, 0.5, 0.5, 2).finished();
  const MatrixXd S2 = (MatrixXd(2, 2) << 0.2, 0, 0, 4).finished();
  const RandomRollouts rollouts(random, 20, 10);
  Supervision data;
  data.Add(Teacher(zero, u1, S1, 10), rollouts.view, 0, Key{});
  data.Add(Teacher(zero, u2, S2, 10), rollouts.view, 0, Key{});
  NetworkPolicy policy = MakePolicy();
  PolicyTrainer(policy, kQuick).Fit(data, Key{5, 1});
  const MatrixXd P1 = S1.inverse();
  const MatrixXd P2 = S2.inverse();
  const VectorXd expected = (P1 + P2).inverse() * (P1 * u1 + P2 * u2);
  MatrixXd actions;
  policy.Mean(rollouts.states, actions);
  for (const auto& u : actions.colwise()) EXPECT_LT((u - expected).norm(), 0.05);
  EXPECT_LT((policy.covariance() - (0.5 * (P1 + P2)).inverse()).norm(), 1e-9);
}

TEST(PolicyTrainer, ANetworkTellsTeachersApartByTheState) {
  Random random(Key{4, 2});
  Supervision data;
  RandomRollouts rollouts(random, 20, 20);
  for (const double side : {-1.0, 1.0}) {
    rollouts.states.row(0).setConstant(side);
    data.Add(
        Teacher(MatrixXd::Zero(2, 3), Eigen::Vector2d(side, -side), MatrixXd::Identity(2, 2), 20),
        rollouts.view, 0, Key{});
  }
  for (const PolicyOutput output : {PolicyOutput::kNone, PolicyOutput::kTanh}) {
    NetworkPolicy policy = MakePolicy(output);
    EXPECT_LT(PolicyTrainer(policy, kQuick).Fit(data, Key{5, 2}).loss, 0.01);
  }
}

TEST(PolicyTrainer, TheUnitOfThePrecisionsChangesNothing) {
  // P = precision / mean(trace P / nu): the loss and the weights are those of a teacher who minds
  // 1e4 times as much.
  Random random(Key{4, 6});
  const MatrixXd K = 0.5 * RandomMatrix(random, 2, 3);
  const RandomRollouts rollouts(random, 10, 10);
  std::vector<double> losses;
  for (const double variance : {1.0, 1e-4}) {
    Supervision data;
    data.Add(Teacher(K, VectorXd::Zero(2), variance * MatrixXd::Identity(2, 2), 10), rollouts.view,
             0, Key{});
    NetworkPolicy policy = MakePolicy();
    losses.push_back(PolicyTrainer(policy, {.steps = 20}).Fit(data, Key{5, 4}).loss);
    EXPECT_LT((policy.covariance() - variance * MatrixXd::Identity(2, 2)).norm(), 1e-9 * variance);
  }
  EXPECT_GT(losses[0], 1e-3);
  EXPECT_NEAR(losses[1], losses[0], 1e-3 * losses[0]);  // rounding in float, 20 steps
}

TEST(PolicyTrainer, AFitThatFailsLeavesThePolicyAsItWas) {
  Random random(Key{4, 7});
  const RandomRollouts rollouts(random, 5, 5);
  Supervision data;
  data.Add(Teacher(RandomMatrix(random, 2, 3), VectorXd::Zero(2), MatrixXd::Identity(2, 2), 5),
           rollouts.view, 0, Key{});
  NetworkPolicy policy = MakePolicy();
  PolicyTrainer(policy, {.steps = 5}).Fit(data, Key{5, 5});
  TensorFile before;
  policy.Save("", before);
  Supervision indefinite = data;
  for (double& precision : indefinite.precisions) precision *= -1;
  Supervision huge = data;  // its loss is no number in float
  for (double& action : huge.actions) action *= 1e200;
  for (const Supervision* wrong : {&indefinite, &huge}) {
    EXPECT_THROW(PolicyTrainer(policy, {.steps = 5}).Fit(*wrong, Key{5, 6}), RunError);
    TensorFile after;
    policy.Save("", after);
    for (const auto& [name, tensor] : before.tensors) {
      EXPECT_EQ(tensor.values, after.tensors.at(name).values) << name;
    }
  }
}

TEST(PolicyTrainer, SameKeySameWeights) {
  Random random(Key{4, 3});
  const RandomRollouts rollouts(random, 10, 10);
  Supervision data;
  data.Add(Teacher(RandomMatrix(random, 2, 3), VectorXd::Zero(2), MatrixXd::Identity(2, 2), 10),
           rollouts.view, 0, Key{});
  std::vector<float> weights;
  for (const uint64_t stream : {1, 1, 2}) {
    NetworkPolicy policy = MakePolicy();
    PolicyTrainer(policy, {.steps = 50}).Fit(data, Key{6, stream});
    const std::vector<float> now(policy.parameters().begin(), policy.parameters().end());
    if (!weights.empty()) {
      EXPECT_EQ(now == weights, stream == 1);
    }
    weights = now;
  }
}

TEST(NetworkPolicy, NamesWhatIsWrong) {
  const std::vector<double> infinite = {std::numeric_limits<double>::infinity(), 1};
  EXPECT_NE(MessageOf([&] {
              const NetworkPolicy wrong(3, kLow, infinite, {.output = PolicyOutput::kTanh}, Key{});
            }).find("bounds of action 0"),
            std::string::npos);
  EXPECT_EQ(MessageOf([&] { const NetworkPolicy right(3, kLow, infinite, {}, Key{}); }), "");
  NetworkPolicy policy = MakePolicy();
  EXPECT_NE(
      MessageOf([&] { policy.set_covariance(-MatrixXd::Identity(2, 2)); }).find("least eigen"),
      std::string::npos);
  EXPECT_NE(MessageOf([&] { policy.set_covariance(MatrixXd::Identity(3, 3)); }).find("3 x 3"),
            std::string::npos);
  Supervision data;
  EXPECT_NE(
      MessageOf([&] { PolicyTrainer(policy, kQuick).Fit(data, Key{}); }).find("found 0 numbers"),
      std::string::npos);
  Random random(Key{4, 4});
  RandomRollouts rollouts(random, 1, 1);
  const auto teacher = [](double variance) {
    return Teacher(MatrixXd::Zero(2, 3), VectorXd::Zero(2), variance * MatrixXd::Identity(2, 2), 1);
  };
  data.Add(teacher(1), rollouts.view, 0, Key{});
  EXPECT_NE(MessageOf([&] { const PolicyTrainer wrong(policy, {.batch = 0}); }).find("batch"),
            std::string::npos);
  rollouts.view.nx = 1;
  EXPECT_NE(MessageOf([&] { (void)LinearizeAlong(policy, rollouts.view); }).find("1 states"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { data.Add(teacher(1), rollouts.view, 0, Key{}); }).find("1 states"),
            std::string::npos);
}

// What a run comes to is no mistake of the user's.
TEST(PolicyTrainer, SupervisionThatCannotBeLearnedFromIsARunThatCannotGoOn) {
  Random random(Key{4, 8});
  const RandomRollouts rollouts(random, 1, 1);
  const auto teacher = [](double variance) {
    return Teacher(MatrixXd::Zero(2, 3), VectorXd::Zero(2), variance * MatrixXd::Identity(2, 2), 1);
  };
  Supervision data;
  EXPECT_EQ(MessageOf<RunError>([&] { data.Add(teacher(0), rollouts.view, 0, Key{}); }),
            "supervision: step 0: found a singular covariance, expected positive definite");
  data.Add(teacher(1), rollouts.view, 0, Key{});
  NetworkPolicy policy = MakePolicy();
  Supervision wrong = data;
  wrong.states[1] = std::nan("");
  EXPECT_EQ(MessageOf<RunError>([&] { PolicyTrainer(policy, kQuick).Fit(wrong, Key{}); }),
            "policy fit: state of row 0: found nan, expected a finite number");
  wrong = data;
  wrong.precisions = {-1, 0, 0, -1};
  EXPECT_EQ(MessageOf<RunError>([&] { PolicyTrainer(policy, kQuick).Fit(wrong, Key{}); }),
            "policy fit: precisions: found an indefinite mean, expected positive definite");
}

}  // namespace
}  // namespace foreplan

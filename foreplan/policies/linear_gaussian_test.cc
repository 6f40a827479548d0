#include "foreplan/policies/linear_gaussian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

LinearGaussianStep ExampleStep() {
  LinearGaussianStep step;
  step.action = Eigen::VectorXd{{1.0, -1.0}};
  step.state = Eigen::VectorXd{{0.5, 0.0, -0.5}};
  step.feedforward = Eigen::VectorXd{{0.1, 0.2}};
  step.feedback = Eigen::MatrixXd(2, 3);
  step.feedback << 1, 2, 3, -1, 0, 1;
  step.covariance = Eigen::MatrixXd(2, 2);
  step.covariance << 0.5, 0.2, 0.2, 0.3;
  return step;
}

TEST(LinearGaussianPolicy, MeanAndOffsetAreOneAffineMap) {
  const LinearGaussianPolicy policy({ExampleStep()});
  const Eigen::VectorXd x = Eigen::VectorXd{{1.0, 2.0, 3.0}};
  const Eigen::VectorXd mean = policy.Mean(0, x);
  // u = u^ + k + K (x - x^), by hand: x - x^ = (0.5, 2, 3.5).
  EXPECT_NEAR(mean[0], 1 + 0.1 + 0.5 + 4 + 10.5, 1e-14);
  EXPECT_NEAR(mean[1], -1 + 0.2 - 0.5 + 3.5, 1e-14);
  EXPECT_LT((policy.Offset(0) + policy.step(0).feedback * x - mean).norm(), 1e-14);
}

TEST(LinearGaussianPolicy, SamplesHaveItsMomentsAndEntropy) {
  const LinearGaussianPolicy policy({ExampleStep()});
  const Eigen::VectorXd x = Eigen::VectorXd{{0.0, 1.0, 0.0}};
  const Eigen::VectorXd mean = policy.Mean(0, x);
  Random random(Key{3, 0});
  const int samples = 200000;
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(2);
  Eigen::MatrixXd squares = Eigen::MatrixXd::Zero(2, 2);
  double log_probability = 0;
  for (int i = 0; i < samples; ++i) {
    const Eigen::VectorXd u = policy.Sample(0, x, random);
    sum += u - mean;
    squares += (u - mean) * (u - mean).transpose();
    log_probability += policy.LogProbability(0, x, u);
  }
  // Four deviations of a mean over 200,000 samples of variance about 0.5: 4 * 0.7 / 450 = 0.006.
  EXPECT_LT((sum / samples).norm(), 0.01);
  EXPECT_LT((squares / samples - policy.step(0).covariance).norm(), 0.01);
  // Entropy is minus the expected log-probability (variance nu / 2 = 1: 4 / 450).
  EXPECT_NEAR(policy.Entropy(0), -log_probability / samples, 0.01);
  // 1/2 log det(2 pi e Sigma), det Sigma = 0.15 - 0.04.
  EXPECT_NEAR(policy.Entropy(0),
              0.5 * std::log(std::pow(2 * std::numbers::pi * std::numbers::e, 2) * 0.11), 1e-12);
}

TEST(LinearGaussianPolicy, ActsDeterministicallyWithoutCovarianceAndWithinBounds) {
  LinearGaussianStep step = ExampleStep();
  step.covariance.setZero();
  LinearGaussianPolicy policy({step, step});
  policy.set_bounds(std::vector<double>{-3, -3}, std::vector<double>{3, 3});
  const std::vector<double> observation = {1, 2, 3};
  std::vector<double> action(2);
  policy.Act({.observation = observation, .time = 7, .key = {}}, action);
  EXPECT_EQ(action[0], 3.0);
  EXPECT_NEAR(action[1], 2.2, 1e-14);
  EXPECT_EQ(policy.Entropy(0), -std::numeric_limits<double>::infinity());
}

TEST(LinearGaussianPolicy, RefusesWrongSteps) {
  EXPECT_THROW(LinearGaussianPolicy(std::vector<LinearGaussianStep>{}), InputError);
  LinearGaussianStep step = ExampleStep();
  step.feedback = Eigen::MatrixXd::Zero(2, 2);
  EXPECT_THROW(LinearGaussianPolicy({ExampleStep(), step}), InputError);
  step = ExampleStep();
  step.covariance(0, 1) = 0.9;
  EXPECT_THROW(LinearGaussianPolicy({step}), InputError);
  step = ExampleStep();
  step.covariance = -step.covariance;
  EXPECT_THROW(LinearGaussianPolicy({step}), InputError);
  step = ExampleStep();
  step.action[0] = std::nan("");
  EXPECT_THROW(LinearGaussianPolicy({step}), InputError);
}

TEST(LinearGaussianPolicy, RefusesAFileWhoseNumbersCannotBe) {
  const LinearGaussianPolicy policy({ExampleStep(), ExampleStep()});
  TensorFile file;
  file.source = "model.safetensors";
  policy.Save("local.", file);
  const auto message = [&](const std::string& name, size_t element, double value) -> std::string {
    TensorFile wrong = file;
    std::get<std::vector<double>>(wrong.tensors.at(name).values)[element] = value;
    try {
      (void)LinearGaussianPolicy::Restored("local.", wrong, 2, 3, 2);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  for (const char* name : {"action", "state", "feedforward", "feedback", "covariance"}) {
    const std::string tensor = std::string("local.") + name;
    EXPECT_EQ(message(tensor, 1, std::nan("")),
              "model.safetensors: tensor '" + tensor +
                  "', element 1: found nan, expected a finite number");
  }
  EXPECT_NE(message("local.covariance", 4, -1).find("model.safetensors: tensor 'local.covariance'"),
            std::string::npos);
  EXPECT_EQ(message("local.covariance", 4, 0.6), "");
}

}  // namespace
}  // namespace foreplan

#include "foreplan/models/terminal_value.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/imagination.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::QuadraticReward;

QuadraticValue Example() {
  Eigen::MatrixXd P(2, 2);
  P << 3, 1, 1, 2;
  return {P, Eigen::Vector2d(0.5, -1), 7};
}

TEST(QuadraticValue, IsTheFormula) {
  const std::vector<double> rows = {1.5, 0, 0.5, -1};
  std::vector<double> value(2);
  Example().Evaluate(2, rows.data(), value.data());
  EXPECT_NEAR(value[0], 7 - (3 + 2 * 1 + 2), 1e-12);  // at (1, 1) from the target
  EXPECT_EQ(value[1], 7);
}

TEST(QuadraticValue, DerivativesAreThoseOfDifferences) {
  const QuadraticValue value = Example();
  const std::vector<double> at = {0.3, 0.7};
  std::vector<double> gradient(2);
  std::vector<double> hessian(4);
  double found = 0;
  value.Evaluate(1, at.data(), &found);
  EXPECT_EQ(value.ExpandConcave(at.data(), gradient.data(), hessian.data()), found);
  std::vector<double> rows = {0.3, 0.7, 0.3, 0.7};
  std::vector<double> gradients(4);
  value.Gradient(2, rows.data(), gradients.data());
  constexpr double kStep = 1e-4;  // differences of a quadratic are exact but for rounding
  for (size_t i = 0; i < 2; ++i) {
    std::vector<double> above = at;
    std::vector<double> below = at;
    above[i] += kStep;
    below[i] -= kStep;
    double high = 0;
    double low = 0;
    value.Evaluate(1, above.data(), &high);
    value.Evaluate(1, below.data(), &low);
    EXPECT_NEAR(gradient[i], (high - low) / (2 * kStep), 1e-9);
    EXPECT_EQ(gradients[2 + i], gradient[i]);
    std::vector<double> up(2);
    std::vector<double> down(2);
    value.Gradient(1, above.data(), up.data());
    value.Gradient(1, below.data(), down.data());
    for (size_t j = 0; j < 2; ++j) {
      EXPECT_NEAR(hessian[2 * i + j], (up[j] - down[j]) / (2 * kStep), 1e-8);
    }
  }
}

TEST(QuadraticValue, RefusesWhatIsNoConcaveValue) {
  const auto refusal = [](const Eigen::MatrixXd& P, const Eigen::VectorXd& target) {
    try {
      const QuadraticValue value(P, target);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const Eigen::Vector2d zero(0, 0);
  Eigen::MatrixXd P = Eigen::MatrixXd::Identity(2, 2);
  EXPECT_EQ(refusal(P, zero), "");
  EXPECT_EQ(refusal(P, Eigen::Vector3d::Zero()),
            "quadratic value: P: found 2 x 2, expected 3 x 3, the target's");
  P(0, 1) = 0.5;
  EXPECT_EQ(refusal(P, zero), "quadratic value: P: found a matrix that is not symmetric");
  P(1, 0) = 0.5;
  P(1, 1) = -1;
  EXPECT_NE(refusal(P, zero).find("expected a positive semidefinite matrix"), std::string::npos);
  P(1, 1) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(refusal(P, zero).find("not finite"), std::string::npos);
}

/// Of everything the same.
class Constant final : public TerminalValue {
 public:
  [[nodiscard]] int observation_dim() const override { return 2; }
  void Evaluate(int rows, const double* /*observation*/, double* value) const override {
    std::fill_n(value, rows, 100.0);
  }
};

TEST(TerminalValue, JoinsTheImaginedReturnOfWhatDoesNotEnd) {
  const DoubleIntegrator dynamics;
  QuadraticReward reward;
  reward.limit = 1.02;  // the first candidate goes beyond
  const std::vector<double> start = {1.0, 0.0};
  // Many of both kinds, so that some share a tile of rows.
  constexpr int kCandidates = 64;
  std::vector<double> actions;
  for (int pair = 0; pair < kCandidates / 2; ++pair) {
    actions.insert(actions.end(), {5, 5, 0, -5, -5, 0});
  }
  const auto returns = [&](std::shared_ptr<const TerminalValue> value) {
    Imagination imagination(testing::Borrowed(dynamics), testing::Borrowed(reward),
                            {.horizon = 3, .max_candidates = kCandidates},
                            std::make_shared<SerialExecutor>(), std::move(value));
    std::vector<double> found(kCandidates);
    imagination.Evaluate(start, actions, Key{1, 1}, found);
    for (size_t i = 2; i < found.size(); ++i) EXPECT_EQ(found[i], found[i % 2]);
    return found;
  };
  const std::vector<double> without = returns(nullptr);
  const std::vector<double> with = returns(std::make_shared<Constant>());
  EXPECT_EQ(with[0], without[0]);
  EXPECT_EQ(with[1], without[1] + 100);
  // Of the observation at the horizon.
  Eigen::MatrixXd P = Eigen::MatrixXd::Zero(2, 2);
  P(0, 0) = 1;
  const std::vector<double> at_end =
      returns(std::make_shared<QuadraticValue>(P, Eigen::Vector2d(0, 0)));
  double p = 1;
  double v = 0;
  for (const double u : {-5.0, -5.0, 0.0}) {
    p += DoubleIntegrator::kStep * v;
    v += DoubleIntegrator::kStep * u;
  }
  EXPECT_NEAR(at_end[1], without[1] - p * p, 1e-12);
}

TEST(TerminalValue, OfOtherObservationsIsRefused) {
  const DoubleIntegrator dynamics;
  const QuadraticReward reward;
  const auto value =
      std::make_shared<QuadraticValue>(Eigen::MatrixXd::Identity(3, 3), Eigen::Vector3d::Zero());
  const auto imagine = [&] {
    const Imagination imagination(testing::Borrowed(dynamics), testing::Borrowed(reward),
                                  {.horizon = 3, .max_candidates = 2},
                                  std::make_shared<SerialExecutor>(), value);
  };
  EXPECT_EQ(MessageOf(imagine), "terminal value: found one of 3 observed numbers, expected 2");
}

TEST(TerminalValue, WithoutDerivativesSaysSo) {
  double number = 0;
  EXPECT_THROW(Constant().Gradient(1, &number, &number), InputError);
  EXPECT_THROW((void)Constant().ExpandConcave(&number, &number, &number), InputError);
}

}  // namespace
}  // namespace foreplan

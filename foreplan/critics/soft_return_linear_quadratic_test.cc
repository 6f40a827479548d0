// Soft returns where everything is known: a linear-quadratic problem with its exact critic, and the
// return without values and entropy that policies/ differentiates, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/size.h"
#include "foreplan/critics/testing/soft_return_in_double.h"
#include "foreplan/models/testing/observed_state.h"
#include "foreplan/policies/imagined_return.h"

namespace foreplan {
namespace {

using testing::Found;
using testing::GradientOf;
using testing::SmallWorld;

constexpr double kA = 1, kB = 0.5, kQ = 1, kR = 0.2, kDiscount = 0.9;  // stable without a discount
constexpr double kHalfRange = 50;  // of the action: tanh is linear to 1e-4 where u is within 1
constexpr int kRows = 4096;

/// s' = A s + B u.
class Line final : public testing::ObservedState<1, 1> {
 public:
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      batch.next_state[row] = kA * batch.state[row] + kB * batch.action[row];
    }
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    std::fill_n(batch.A, batch.rows, kA);
    std::fill_n(batch.B, batch.rows, kB);
  }
};

/// r = -Q s^2 - R u^2.
class Quadratic final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = -kQ * std::pow(batch.observation[row], 2) - kR * std::pow(batch.action[row], 2);
    }
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const std::array<double, 3> of_row = {-2 * kQ * batch.observation[row],
                                            -2 * kR * batch.action[row], 0};
      std::ranges::copy(of_row, gradient + 3 * row);
    }
  }
};

/// What u ~ N(-K s, sigma^2) earns, entropy in half ranges included: V(s) = -P s^2 - c.
struct Exact {
  double K, sigma, temperature;
  double P, c;

  Exact(double gain, double deviation, double alpha)
      : K(gain), sigma(deviation), temperature(alpha), P(0) {
    for (int i = 0; i < 1000; ++i) P = kQ + kR * K * K + kDiscount * P * std::pow(kA - kB * K, 2);
    const double entropy =
        0.5 * std::log(2 * std::numbers::pi * std::numbers::e) + std::log(sigma / kHalfRange);
    c = ((kR + kDiscount * P * kB * kB) * sigma * sigma - temperature * entropy) / (1 - kDiscount);
  }
  [[nodiscard]] double V(double s) const { return -P * s * s - c; }
  [[nodiscard]] double Q(double s, double u) const {
    return -kQ * s * s - kR * u * u + kDiscount * V(kA * s + kB * u);
  }
};

/// Of the Riccati equation, and the temperature for which this deviation is the best.
Exact Optimum(double sigma) {
  double P = kQ;
  double K = 0;
  for (int i = 0; i < 1000; ++i) {
    K = kDiscount * kB * P * kA / (kR + kDiscount * kB * kB * P);
    P = kQ + kR * K * K + kDiscount * P * std::pow(kA - kB * K, 2);
  }
  return {K, sigma, 2 * sigma * sigma * (kR + kDiscount * kB * kB * P)};
}

EnvironmentSpec LineSpec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"s", "m"}};
  spec.action = {{"u", "N"}};
  spec.action_low = {-kHalfRange};
  spec.action_high = {kHalfRange};
  return spec;
}

/// A policy with u ~ N(-K s, sigma^2): swish(s) - swish(-s) = s.
SquashedGaussianPolicy LinearPolicy(double K, double sigma) {
  EnvironmentSpec spec = LineSpec();
  spec.action.clear();
  SquashedGaussianPolicy policy(FeatureMap(spec, {}), std::array{-kHalfRange},
                                std::array{kHalfRange},
                                {.hidden_layers = 1, .width = 2, .kernel = "eigen"}, Key{1, 0});
  const double rho = std::log(std::expm1(sigma / kHalfRange - SquashedGaussian::kLeastDeviation));
  const double slope = K / kHalfRange;
  // Weights [1 x 2], biases, weights [2 x (mu, rho)], biases.
  const std::array<double, 10> parameters = {1, -1, 0, 0, -slope, 0, slope, 0, 0, rho};
  std::ranges::transform(parameters, policy.parameters().begin(),
                         [](double value) { return static_cast<float>(value); });
  return policy;
}

/// The critic becomes `exact`.Q, and so does its target: swish(x) + swish(-x) = x^2 / 2 + O(x^4).
void MakeExact(CriticEnsemble& critics, const Exact& exact) {
  constexpr double kSmall = 0.02;  // of |x| < 0.05 the fourth power is 2e-4 of the square
  // Squares of s, u and A s + B u.
  const std::array<double, 3> by_s = {1, 0, kA};
  const std::array<double, 3> by_u = {0, 1, kB};
  const std::array<double, 3> weight = {-kQ, -kR, -kDiscount * exact.P};
  std::vector<float> parameters(Size(critics.mlp().parameters()));
  for (size_t k = 0; k < 3; ++k) {
    for (const size_t side : {0, 1}) {
      const double sign = side == 0 ? 1 : -1;
      const size_t unit = 2 * k + side;
      parameters[unit] = static_cast<float>(sign * kSmall * by_s[k]);
      parameters[6 + unit] = static_cast<float>(sign * kSmall * by_u[k] * kHalfRange);
      parameters[18 + unit] = static_cast<float>(2 * weight[k] / (kSmall * kSmall));
    }
  }
  parameters[24] = static_cast<float>(-kDiscount * exact.c);
  testing::Rewrite(critics, [&](TensorFile& file) {
    testing::FloatsOf(file, "parameters") = parameters;
    testing::FloatsOf(file, "targets") = parameters;
  });
}

/// A linear policy, the critic of `exact`, and starts.
struct LineWorld {
  LineWorld(const Exact& exact, double K, double sigma)
      : policy(LinearPolicy(K, sigma)),
        critics(1, 1,
                {.critics = 1,
                 .hidden_layers = 1,
                 .width = 6,
                 .layer_norm = false,
                 .bounded = false,
                 .kernel = "eigen"},
                kRows, Key{2, 0}, std::make_shared<SerialExecutor>()),
        starts(kRows) {
    MakeExact(critics, exact);
    Random(Key{3, 0}).FillNormal(starts);
    for (double& start : starts) start = std::clamp(start, -2.0, 2.0);
  }
  explicit LineWorld(const Exact& exact) : LineWorld(exact, exact.K, exact.sigma) {}

  [[nodiscard]] std::unique_ptr<SoftReturn> Imagined(int horizon) const {
    auto imagined = std::make_unique<SoftReturn>(
        policy, critics,
        SoftReturnOptions{.horizon = horizon, .rows = kRows, .discount = kDiscount},
        std::make_shared<SerialExecutor>());
    imagined->set_model({std::make_shared<Line>(), std::make_shared<Quadratic>()});
    imagined->Roll(starts, Key{7, Size(horizon)});
    return imagined;
  }

  SquashedGaussianPolicy policy;
  CriticEnsemble critics;
  std::vector<double> starts;  // [rows]
};

struct Ascent {
  SoftReturnReport report;
  std::vector<double> gradient;  // of J: [parameters]
};

Ascent AscentOf(const LineWorld& w, double temperature, int horizon) {
  const std::unique_ptr<SoftReturn> imagined = w.Imagined(horizon);
  const size_t count = w.policy.parameters().size();
  std::vector<float> parts(Size(imagined->options().particles) * count);
  const auto part = [&](int particle) {
    return std::span(parts).subspan(Size(particle) * count, count);
  };
  Ascent ascent{.report = imagined->Gradient(temperature, part),
                .gradient = std::vector<double>(count)};
  for (size_t i = 0; i < parts.size(); ++i) ascent.gradient[i % count] += parts[i] / kRows;
  return ascent;
}

struct MeanAndError {
  double mean = 0;
  double error = 0;  // standard
};

MeanAndError Of(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  double squares = 0;
  for (const double value : values) squares += std::pow(value - sum / count, 2);
  return {sum / count, std::sqrt(squares / count / count)};
}

// Networks are squares to 2e-4 and in float, sums of up to 15 cancel; tanh is linear to 1e-4.
constexpr double kOfNetworks = 3e-3;

TEST(SoftReturnLinearQuadratic, TheExactCriticIsWhatEveryHorizonExpandsTo) {
  const Exact exact(0.6, 0.05, 0.3);
  const LineWorld w(exact);
  for (const int horizon : {1, 2, 3, 5}) {
    const std::unique_ptr<SoftReturn> imagined = w.Imagined(horizon);
    std::vector<double> difference(kRows);
    imagined->Targets(exact.temperature, difference);
    for (size_t row = 0; row < kRows; ++row) {
      const double u = kHalfRange * imagined->first_inputs()[2 * row + 1];
      difference[row] -= exact.Q(w.starts[row], u);
    }
    const MeanAndError found = Of(difference);
    EXPECT_NEAR(found.mean, 0, 4 * found.error + kOfNetworks) << "horizon " << horizon;
    EXPECT_LT(found.error, 0.01);  // so that the interval says something: entropies are 1.6
  }
}

TEST(SoftReturnLinearQuadratic, WhatIsImaginedIsTheExactValueForEveryHorizon) {
  const Exact exact(0.6, 0.05, 0.3);
  const LineWorld w(exact);
  double value = 0;
  for (const double start : w.starts) value += exact.V(start) / kRows;
  for (const int horizon : {0, 1, 3, 5}) {
    // Log densities of 4096 rows have deviations of 0.71, times 0.3, at every step.
    const double error = 0.3 * 0.71 * std::sqrt(1 + horizon) / 64;
    EXPECT_NEAR(AscentOf(w, exact.temperature, horizon).report.value, value,
                4 * error + kOfNetworks)
        << "horizon " << horizon;
  }
}

double Norm(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

TEST(SoftReturnLinearQuadratic, AtTheOptimumTheGradientVanishesForEveryHorizon) {
  const Exact optimum = Optimum(0.05);
  const LineWorld there(optimum);
  const LineWorld beside(optimum, 1.1 * optimum.K, optimum.sigma);
  for (const int horizon : {0, 1, 3}) {
    // Sampled: 0.05 of noise over 64, beside a tenth of the gain.
    EXPECT_LT(Norm(AscentOf(there, optimum.temperature, horizon).gradient),
              0.03 * Norm(AscentOf(beside, optimum.temperature, horizon).gradient))
        << "horizon " << horizon;
  }
}

TEST(SoftReturnLinearQuadratic, TheBestDeviationIsWhereEntropyAndCostBalance) {
  const Exact optimum = Optimum(0.05);
  const auto by_rho = [&](double sigma) {  // the last bias; the gain is held
    return AscentOf({optimum, optimum.K, sigma}, optimum.temperature, 0).gradient.back();
  };
  EXPECT_GT(by_rho(optimum.sigma / 1.2), 0);
  EXPECT_LT(by_rho(optimum.sigma * 1.2), 0);
  // d/dsigma of alpha ln sigma - (R + gamma B^2 P) sigma^2 is 0 there; xi^2 of 4096 rows is 1 to
  // 0.02 and beside it 0.44 of alpha / sigma are left.
  EXPECT_LT(std::abs(by_rho(optimum.sigma)), 0.2 * std::abs(by_rho(optimum.sigma * 1.2)));
}

TEST(SoftReturnLinearQuadratic, WithoutValuesAndEntropyItIsTheReturnOfNetworkPolicies) {
  SmallWorld w(6);
  w.model->noise = 0.1;
  testing::MakeConstant(w.critics, {0, 0, 0}, {0, 0, 0});
  testing::Rewrite(w.critics, [](TensorFile& file) {
    file.tensors["bounds"].values = std::vector<double>{-4, 4, 1};
  });
  const EnvironmentSpec spec = testing::SmallSpec();
  NetworkPolicy plain(
      testing::SmallFeatures(), spec.action_low, spec.action_high,
      {.hidden_layers = 2, .width = 8, .output = PolicyOutput::kTanh, .kernel = "eigen"},
      Key{3, 0});
  plain.input_normaliser() = w.policy.encoder().normaliser();
  // The last layer's (mu, rho), of each of 8 units and of the bias: rho as small as it goes.
  const auto hidden = Size(w.policy.mlp().weight_offset(2));
  std::copy_n(w.policy.parameters().begin(), hidden, plain.parameters().begin());
  for (size_t unit = 0; unit < 9; ++unit) {
    float* const both = &w.policy.parameters()[hidden + 4 * unit];
    std::copy_n(both, 2, &plain.parameters()[hidden + 2 * unit]);
    std::fill_n(both + 2, 2, unit == 8 ? -40.0F : 0.0F);
  }
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(2, 2);
  for (int i = 0; i < 2; ++i) {
    covariance(i, i) = std::pow(SquashedGaussian::kLeastDeviation * w.policy.half_range(i), 2);
  }
  plain.set_covariance(covariance);

  const auto executor = std::make_shared<SerialExecutor>();
  SoftReturn soft(w.policy, w.critics, {.horizon = 3, .rows = 6, .particles = 1, .discount = 0.9},
                  executor);
  soft.set_model(w.version());
  const Found found = GradientOf(soft, w, 0, Key{7, 3});
  ImaginedReturn imagined(plain, w.model, w.reward,
                          {.horizon = 3, .particles = 1, .starts = 6, .discount = 0.9}, executor);
  std::vector<float> gradient(plain.parameters().size());
  std::array<double, 2> by_deviation{};
  const ImaginedReturnReport report =
      imagined.Gradient(w.starts, Key{7, 3}, gradient, by_deviation);
  // Noise of 1e-5, which one adds within the squashing and the other after it; networks in float.
  EXPECT_NEAR(found.report.value, report.value, 1e-5);
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < gradient.size(); ++i) {
    const size_t unit = i < hidden ? 0 : (i - hidden) / 2;
    const size_t at = i < hidden ? i : hidden + 4 * unit + (i - hidden) % 2;
    difference += std::pow(found.gradient[at] - gradient[i], 2);
    norm += std::pow(gradient[i], 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-4);
}

}  // namespace
}  // namespace foreplan

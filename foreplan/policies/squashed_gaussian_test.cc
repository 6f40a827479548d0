#include "foreplan/policies/squashed_gaussian.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/policies/testing/network_in_double.h"

namespace foreplan {
namespace {

/// rho with softplus(rho) + 1e-5 = sigma.
float RhoOf(double sigma) { return static_cast<float>(std::log(std::expm1(sigma - 1e-5))); }

double SigmaOf(float rho) { return std::log1p(std::exp(static_cast<double>(rho))) + 1e-5; }

struct Drawn {
  double log_density, action, deviation;
};

Drawn DrawOne(float mu, float rho, double noise) {
  const std::array<float, 2> output = {mu, rho};
  Drawn drawn = {};
  drawn.log_density =
      SquashedGaussian::Draw(1, output.data(), &noise, &drawn.action, &drawn.deviation);
  return drawn;
}

/// ln pi of one component in long double, by mu, sigma and xi.
long double LogDensity(long double mu, long double sigma, long double xi) {
  const long double z = mu + sigma * xi;
  // 1 - tanh^2 z = 4 e^-2|z| / (1 + e^-2|z|)^2
  const long double small = std::exp(-2 * std::abs(z));
  const long double log_slope = std::log(4.0L) - 2 * std::abs(z) - 2 * std::log1p(small);
  return -xi * xi / 2 - std::log(sigma) - std::log(2 * std::numbers::pi_v<long double>) / 2 -
         log_slope;
}

/// The integral over all actions of f(xi) e^(ln pi), in xi: da = (1 - a^2) sigma dxi. The
/// trapezoidal rule, which is exact to rounding for what falls off like a normal density.
double Integral(float mu, float rho, const std::function<double(const Drawn&)>& f) {
  const double step = 0.01;
  double sum = 0;
  for (int i = -1000; i <= 1000; ++i) {
    const double xi = step * i;
    const Drawn drawn = DrawOne(mu, rho, xi);
    const double z = mu + drawn.deviation * xi;
    const double small = std::exp(-2 * std::abs(z));
    const double log_slope = std::log(4.0) - 2 * std::abs(z) - 2 * std::log1p(small);
    sum += step * drawn.deviation * std::exp(drawn.log_density + log_slope) * f(drawn);
  }
  return sum;
}

constexpr std::array<float, 5> kMeans = {-5, -1, 0, 0.5, 5};

TEST(SquashedGaussian, DensityOfActionsIntegratesToOne) {
  for (const float mu : kMeans) {
    for (const double sigma : {1e-3, 0.05, 0.5, 1.0, 3.0}) {
      EXPECT_NEAR(Integral(mu, RhoOf(sigma), [](const Drawn&) { return 1.0; }), 1, 1e-10)
          << mu << " " << sigma;
    }
  }
  // The same over the actions themselves, as a spacing of actions: midpoints between -1 and 1.
  const float mu = 0.3F;
  const float rho = RhoOf(0.5);
  double sum = 0;
  const int steps = 200000;
  for (int i = 0; i < steps; ++i) {
    const double a = -1 + (2 * i + 1.0) / steps;
    const double xi = (std::atanh(a) - mu) / SigmaOf(rho);
    const Drawn drawn = DrawOne(mu, rho, xi);
    ASSERT_NEAR(drawn.action, a, 1e-12);
    sum += 2.0 / steps * std::exp(drawn.log_density);
  }
  EXPECT_NEAR(sum, 1, 1e-8);  // of midpoints, with 2e5 of them
}

TEST(SquashedGaussian, LogDensityEqualsLongDouble) {
  for (const float mu : {-30.0F, -5.0F, -0.1F, 0.0F, 2.0F, 30.0F}) {
    for (const double sigma : {1e-3, 0.1, 1.0, 3.0}) {
      for (const double xi : {-3.0, -0.5, 0.0, 1.0, 3.0}) {
        const float rho = RhoOf(sigma);
        const Drawn drawn = DrawOne(mu, rho, xi);
        const auto expected = static_cast<double>(LogDensity(mu, SigmaOf(rho), xi));
        EXPECT_NEAR(drawn.log_density, expected, 1e-13 * (1 + std::abs(expected)));
        EXPECT_NEAR(drawn.action, std::tanh(mu + SigmaOf(rho) * xi), 1e-15);
      }
    }
  }
}

TEST(SquashedGaussian, IsFiniteFarOut) {
  for (const float mu : {-40.0F, 40.0F}) {
    for (const float rho : {-200.0F, -20.0F, 0.0F, 40.0F}) {
      const double noise = rho > 20 ? 0.5 : 0.0;
      const Drawn drawn = DrawOne(mu, rho, noise);
      EXPECT_TRUE(std::isfinite(drawn.log_density));
      EXPECT_GE(drawn.deviation, 1e-5);
      EXPECT_LE(std::abs(drawn.action), 1);
      const std::array<float, 2> output = {mu, rho};
      std::array<float, 2> gradient = {};
      const double by_action = 3;
      SquashedGaussian::PullBack(1, output.data(), &noise, &drawn.action, &drawn.deviation,
                                 &by_action, 0.1, gradient.data());
      for (const float entry : gradient) EXPECT_TRUE(std::isfinite(entry));
    }
  }
}

TEST(SquashedGaussian, PullBackEqualsDifferencesInLongDouble) {
  for (const float mu : {-2.0F, 0.1F, 3.0F}) {
    for (const float rho : {-3.0F, 0.0F, 1.5F}) {
      for (const double xi : {-1.5, 0.2, 2.0}) {
        for (const auto& [by_action, weight] :
             {std::pair(1.0, 0.0), std::pair(0.0, 0.7), std::pair(-2.0, 0.3)}) {
          const Drawn drawn = DrawOne(mu, rho, xi);
          const std::array<float, 2> output = {mu, rho};
          std::array<float, 2> found = {};
          SquashedGaussian::PullBack(1, output.data(), &xi, &drawn.action, &drawn.deviation,
                                     &by_action, weight, found.data());
          // by_action a - weight ln pi
          const auto value = [&, b = by_action, w = weight](long double m, long double r) {
            const long double sigma = std::log1p(std::exp(r)) + 1e-5L;
            return b * std::tanh(m + sigma * xi) - w * LogDensity(m, sigma, xi);
          };
          const long double h = 1e-6L;
          const auto by_mu =
              static_cast<double>((value(mu + h, rho) - value(mu - h, rho)) / (2 * h));
          const auto by_rho =
              static_cast<double>((value(mu, rho + h) - value(mu, rho - h)) / (2 * h));
          // What is found is float.
          EXPECT_NEAR(found[0], by_mu, 1e-7 + 1e-7 * std::abs(by_mu));
          EXPECT_NEAR(found[1], by_rho, 1e-7 + 1e-7 * std::abs(by_rho));
        }
      }
    }
  }
}

TEST(SquashedGaussian, MeanOfSamplesIsTheEntropy) {
  const float mu = 0.4F;
  const float rho = RhoOf(0.8);
  const double entropy = Integral(mu, rho, [](const Drawn& drawn) { return -drawn.log_density; });
  Random random(Key{2, 0});
  const int samples = 20000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < samples; ++i) {
    const double surprise = -DrawOne(mu, rho, random.Normal()).log_density;
    sum += surprise / samples;
    squares += surprise * surprise / samples;
  }
  EXPECT_NEAR(sum, entropy, 4 * std::sqrt((squares - sum * sum) / samples));  // deviations
}

TEST(SquashedGaussian, ComponentsAreIndependent) {
  const std::array<float, 4> output = {0.3F, -1, -0.5F, 0.7F};
  const std::array<double, 2> noise = {0.4, -1.1};
  std::array<double, 2> action;
  std::array<double, 2> deviation;
  const double both =
      SquashedGaussian::Draw(2, output.data(), noise.data(), action.data(), deviation.data());
  const Drawn first = DrawOne(0.3F, -0.5F, 0.4);
  const Drawn second = DrawOne(-1, 0.7F, -1.1);
  EXPECT_NEAR(both, first.log_density + second.log_density, 1e-14);
  EXPECT_EQ(action[0], first.action);
  EXPECT_EQ(action[1], second.action);
  EXPECT_EQ(deviation[1], second.deviation);
}

SquashedGaussianPolicy MakePolicy(Key key = {1, 0}) {
  const std::array<double, 2> low = {-2, 1};
  const std::array<double, 2> high = {6, 2};
  return {FeatureMap(3), low, high, {.hidden_layers = 2, .width = 8, .kernel = "eigen"}, key};
}

TEST(SquashedGaussianPolicy, ActionsFillTheBounds) {
  const SquashedGaussianPolicy policy = MakePolicy();
  std::array<double, 2> task = {};
  std::array<double, 2> half = {};
  for (const double a : {-1.0, 0.0, 0.25, 1.0}) {
    const std::array<double, 2> action = {a, -a};
    policy.ToTask(action.data(), task.data());
    EXPECT_EQ(task[0], 2 + 4 * a);
    EXPECT_EQ(task[1], 1.5 - 0.5 * a);
    policy.FromTask(task.data(), half.data());
    EXPECT_EQ(half, action);
  }
  EXPECT_EQ(policy.half_range(0), 4);
  EXPECT_EQ(policy.half_range(1), 0.5);
}

// Where neither the middle nor half the range is a number of binary floats, a bound that is
// computed from them lies an ulp beyond.
TEST(SquashedGaussianPolicy, NoActionLeavesTheBounds) {
  const std::array<double, 3> low = {-0.1, -3.0, -0.7};
  const std::array<double, 3> high = {0.3, 0.1, 0.2};
  const SquashedGaussianPolicy policy(FeatureMap(1), low, high, {.hidden_layers = 1, .width = 2},
                                      Key{1, 0});
  for (const double a : {-1.0, 1.0}) {
    const std::array<double, 3> action = {a, a, a};
    std::array<double, 3> task = {};
    policy.ToTask(action.data(), task.data());
    for (size_t i = 0; i < task.size(); ++i) {
      EXPECT_GE(task[i], low[i]);
      EXPECT_LE(task[i], high[i]);
      EXPECT_NEAR(task[i], a < 0 ? low[i] : high[i], 1e-15);  // an ulp
    }
  }
}

TEST(SquashedGaussianPolicy, ActorsDoWhatTheNetworkSays) {
  const SquashedGaussianPolicy policy = MakePolicy();
  const std::vector<double> observation = {0.5, -1, 2};
  const std::span<const float> floats = policy.parameters();
  const std::vector<double> y =
      EvaluateInDouble(policy.mlp(), {floats.begin(), floats.end()}, observation);
  SquashedActor mean(policy, PolicyAction::kMean);
  SquashedActor sampled(policy, PolicyAction::kSampled);
  std::array<double, 2> action = {};
  mean.Act({.observation = observation, .key = {}}, action);
  EXPECT_NEAR(action[0], 2 + 4 * std::tanh(y[0]), 1e-5);  // the network is in float
  EXPECT_NEAR(action[1], 1.5 + 0.5 * std::tanh(y[1]), 1e-5);
  std::array<double, 2> noise = {};
  Random(Key{9, 9}).FillNormal(noise);
  sampled.Act({.observation = observation, .key = Key{9, 9}}, action);
  double log_density = 0;
  for (size_t j = 0; j < 2; ++j) {
    const double sigma = std::log1p(std::exp(y[2 + j])) + 1e-5;
    const double z = y[j] + sigma * noise[j];
    EXPECT_NEAR(action[j], j == 0 ? 2 + 4 * std::tanh(z) : 1.5 + 0.5 * std::tanh(z), 1e-5);
    log_density += static_cast<double>(LogDensity(y[j], sigma, noise[j]));
  }
  EXPECT_NEAR(sampled.log_density(), log_density, 1e-5);
  EXPECT_EQ(testing::CountAllocations([&] {
              sampled.Act({.observation = observation, .key = Key{9, 9}}, action);
              mean.Act({.observation = observation, .key = {}}, action);
            }),
            0);
}

TEST(SquashedGaussianPolicy, StaysTheSameFunctionInAnotherScale) {
  SquashedGaussianPolicy policy = MakePolicy();
  SquashedActor actor(policy, PolicyAction::kMean);
  Normaliser normaliser(3);
  Random random(Key{6, 0});
  for (int change = 0; change < 3; ++change) {
    std::vector<double> observation = {0.5, -1, 2};
    std::array<double, 2> before = {};
    std::array<double, 2> after = {};
    actor.Act({.observation = observation, .key = {}}, before);
    for (size_t i = 0; i < 3; ++i) {
      normaliser.mean[i] = random.Normal();
      normaliser.scale[i] = std::exp(random.Normal());
    }
    policy.Rescale(normaliser);
    actor.Act({.observation = observation, .key = {}}, after);
    for (size_t j = 0; j < 2; ++j) EXPECT_NEAR(after[j], before[j], 1e-6 * 4);  // half ranges
    EXPECT_EQ(policy.encoder().normaliser().mean, normaliser.mean);
  }
}

TEST(SquashedGaussianPolicy, IsRestoredToTheBit) {
  SquashedGaussianPolicy policy = MakePolicy();
  Normaliser normaliser(3);
  normaliser.scale = {0.3, 2, 7};
  policy.Rescale(normaliser);
  TensorFile file;
  policy.Save("policy.", file);
  SquashedGaussianPolicy restored = MakePolicy(Key{2, 0});
  restored.Restore("policy.", file);
  EXPECT_TRUE(std::ranges::equal(restored.parameters(), policy.parameters()));
  EXPECT_EQ(restored.encoder().normaliser().scale, normaliser.scale);
}

TEST(SquashedGaussianPolicy, ABadFileIsNamedAndChangesNothing) {
  const SquashedGaussianPolicy policy = MakePolicy();
  TensorFile good;
  policy.Save("policy.", good);
  good.source = "run/model.safetensors";
  const auto message = [&](const auto& spoil) {
    TensorFile file = good;
    spoil(file);
    SquashedGaussianPolicy other = MakePolicy(Key{2, 0});
    const std::vector<float> before(other.parameters().begin(), other.parameters().end());
    std::string found = MessageOf([&] { other.Restore("policy.", file); });
    EXPECT_TRUE(std::ranges::equal(other.parameters(), before));
    EXPECT_EQ(other.encoder().normaliser().scale[0], 1);
    EXPECT_NE(found.find("run/model.safetensors"), std::string::npos) << found;
    return found;
  };
  const auto names = [](const std::string& text, const std::string& tensor) {
    EXPECT_NE(text.find(tensor), std::string::npos) << text;
  };
  names(message([](TensorFile& f) { f.tensors.erase("policy.parameters"); }), "policy.parameters");
  names(message([](TensorFile& f) { f.tensors["policy.parameters"].shape = {1}; }),
        "policy.parameters");
  names(message([](TensorFile& f) {
          std::get<std::vector<float>>(f.tensors["policy.parameters"].values)[3] =
              std::numeric_limits<float>::quiet_NaN();
        }),
        "policy.parameters");
  names(message([](TensorFile& f) {
          std::get<std::vector<double>>(f.tensors["policy.input_scale"].values)[1] = 0;
        }),
        "policy.input_scale");
}

TEST(SquashedGaussianPolicy, NamesWhatIsWrong) {
  const auto message = [](const std::vector<double>& low, const std::vector<double>& high,
                          const SquashedGaussianOptions& options) {
    return MessageOf([&] { SquashedGaussianPolicy(FeatureMap(1), low, high, options, Key{1, 0}); });
  };
  EXPECT_EQ(message({-1}, {1}, {.width = 4}), "");
  EXPECT_EQ(message({-1}, {1, 2}, {}),
            "policy: bounds: found 1 lower and 2 upper, expected as many");
  EXPECT_EQ(message({1}, {1}, {}),
            "policy: bounds of action 0: found 1 ... 1, expected finite low < high");
  EXPECT_EQ(message({-1, -std::numeric_limits<double>::infinity()}, {1, 1}, {}),
            "policy: bounds of action 1: found -inf ... 1, expected finite low < high");
  for (const auto& [options, name] :
       {std::pair(SquashedGaussianOptions{.hidden_layers = 0}, "hidden_layers"),
        std::pair(SquashedGaussianOptions{.width = 0}, "width"),
        std::pair(SquashedGaussianOptions{.kernel = "blas"}, "kernel")}) {
    const std::string text = message({-1}, {1}, options);
    EXPECT_NE(text.find(std::string("actor_critic.policy.") + name), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace foreplan

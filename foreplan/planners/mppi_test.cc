#include "foreplan/planners/mppi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

constexpr Key kKey{.seed = 6, .stream = 0};
constexpr size_t kHorizon = 5;
const std::vector<double> kStart = {1.0, 0.0};

// Information-theoretic MPPI written down once more, plainly; the noise comes from the same keys.
std::vector<double> ReferenceUpdate(const std::vector<double>& nominal, const MppiOptions& options,
                                    double max_action, Key decision) {
  const double sigma = options.noise_sigma * max_action;
  const auto candidates = static_cast<size_t>(options.population);
  std::vector<std::vector<double>> noise(candidates, std::vector<double>(kHorizon));
  std::vector<double> cost(candidates);
  for (size_t k = 0; k < candidates; ++k) {
    Random random(decision.Fold(0).Fold(0).Fold(k));
    double p = kStart[0];
    double v = kStart[1];
    for (size_t t = 0; t < kHorizon; ++t) {
      const double u = std::clamp(nominal[t] + sigma * random.Normal(), -max_action, max_action);
      noise[k][t] = u - nominal[t];
      p += 0.1 * v;
      v += 0.1 * u;
      cost[k] += p * p + 0.1 * v * v + 0.01 * u * u;
      if (options.control_cost)
        cost[k] += options.lambda * nominal[t] * noise[k][t] / (sigma * sigma);
    }
  }
  const double least = *std::min_element(cost.begin(), cost.end());
  double sum = 0;
  for (const double c : cost) sum += std::exp(-(c - least) / options.lambda);
  std::vector<double> updated = nominal;
  for (size_t k = 0; k < candidates; ++k) {
    const double weight = std::exp(-(cost[k] - least) / options.lambda) / sum;
    for (size_t t = 0; t < kHorizon; ++t) updated[t] += weight * noise[k][t];
  }
  return updated;
}

class MppiTest : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(ControlCost, MppiTest, ::testing::Bool());

TEST_P(MppiTest, UpdatesAsThePlainFormula) {
  const DoubleIntegrator dynamics;
  const QuadraticReward reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(2.0);
  ThreadPool executor(2);
  MppiOptions options;
  options.horizon = kHorizon;
  options.population = 100;
  options.lambda = 0.05;
  options.noise_sigma = 0.8;  // large, so that many samples are clamped
  options.control_cost = GetParam();
  Mppi planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                         testing::Borrowed(executor)});
  std::vector<double> nominal(kHorizon, 0.0);
  for (uint64_t step = 0; step < 4; ++step) {
    const Plan& plan = planner.MakePlan({.state = kStart,
                                         .step = static_cast<int64_t>(step),
                                         .key = kKey.Fold(step),
                                         .budget = {}});
    nominal = ReferenceUpdate(nominal, options, 2.0, kKey.Fold(step));
    for (size_t t = 0; t < kHorizon; ++t) {
      EXPECT_NEAR(plan.actions[t], nominal[t], 1e-10);  // rounding
    }
    nominal.erase(nominal.begin());
    nominal.push_back(nominal.back());
  }
}

}  // namespace
}  // namespace foreplan

// How well the planners do without model error, on the cart-pole of PETS in closed form. Slow.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/planners/planner.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan {
namespace {

constexpr int kEpisodeLength = 200;  // steps, as in PETS

// Mean return of episodes with seeds 0 ... episodes - 1.
double MeanReturn(const std::string& name, const std::vector<std::string>& settings, int episodes) {
  Config config = Config::FromString("", "gate");
  for (const auto& setting : settings) config.Set("planner." + name + "." + setting);
  CartPole system;
  const TrueDynamics dynamics(system);
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  ThreadPool executor(2);
  const auto planner = MakePlanner(name, config,
                                   {testing::Borrowed(dynamics), testing::Borrowed(*reward),
                                    system.spec(), testing::Borrowed(executor)});

  double sum = 0;
  std::vector<double> state(4);
  std::vector<double> observation(4);
  std::vector<double> next_observation(4);
  for (int seed = 0; seed < episodes; ++seed) {
    const Key key{.seed = static_cast<uint64_t>(seed), .stream = 0};
    system.Reset(key.Fold(0));
    planner->Reset();
    for (uint64_t t = 0; t < kEpisodeLength; ++t) {
      system.GetState(state);
      system.Observe(observation);
      const Plan& plan = planner->MakePlan({.state = state,
                                            .step = static_cast<int64_t>(t),
                                            .key = key.Fold(1).Fold(t),
                                            .budget = {}});
      EXPECT_EQ(system.Step({plan.actions.data(), 1}), StepStatus::kOk);
      system.Observe(next_observation);
      double r = 0;
      uint8_t terminated = 0;
      reward->Evaluate({1, observation.data(), plan.actions.data(), next_observation.data()}, &r,
                       &terminated);
      sum += r;
    }
  }
  return sum / episodes;
}

// 40 + 32 + 25 sampled rollouts, the mean among them, besides the kept elites. sigma0,
// keep_fraction and momentum were chosen on other seeds.
TEST(PlannerGate, IcemSwingsUpWith97RolloutsPerStep) {
  const double mean = MeanReturn("icem",
                                 {"population=40", "decay=1.25", "iterations=3", "noise_beta=2.0",
                                  "horizon=30", "sigma0=0.65", "keep_fraction=0.7", "momentum=0.0"},
                                 20);
  EXPECT_GE(mean, 175.0);
}

TEST(PlannerGate, CemSwingsUpWithThePublishedSettings) {
  const double mean = MeanReturn(
      "cem", {"population=400", "elites=40", "iterations=5", "momentum=0.1", "horizon=25"}, 3);
  EXPECT_GE(mean, 177.0);
}

}  // namespace
}  // namespace foreplan

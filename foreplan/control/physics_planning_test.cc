// Physics identified from a little experience, planned through.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/physics/physics_fit.h"
#include "foreplan/models/physics/physics_model.h"
#include "foreplan/policies/policy.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

// Its skew, 0.1 degrees, is not among the unknowns.
std::unique_ptr<System> Family(std::span<const double> v) {
  CartPoleOptions options;
  options.pole_skew = 0;
  options.cart_mass = v[0];
  options.pole_mass = v[1];
  options.pole_center = v[2];
  options.pole_inertia = v[3];
  options.cart_damping = v[4];
  options.hinge_damping = v[5];
  return std::make_unique<CartPole>(options);
}

TEST(PhysicsPlanning, SwingsTheCartPoleUpAfterOneRandomEpisode) {
  auto [task, config] = Task::Load("cartpole_closed_form");
  const auto system = task.MakeSystem();
  Dataset data(4, 1);
  const auto base = MakeBasePolicy("uniform", task.spec());
  RunEpisode(task, *system, *base, Key{1, 0}, 200, [&](const EpisodeStep& step) {
    data.Add(step.observation, step.action, step.next_observation, 1);
  });
  std::vector<Unknown> unknowns;
  for (const auto& [name, start] : {std::pair{"cart_mass", 5.0},
                                    {"pole_mass", 2.0},
                                    {"pole_center", 0.5},
                                    {"pole_inertia", 0.2},
                                    {"cart_damping", 0.1},
                                    {"hinge_damping", 0.1}}) {
    unknowns.push_back({.name = name, .start = start, .low = 1e-3, .high = 100});
  }
  const PhysicsFit fit = FitPhysics(Family, unknowns, data);
  EXPECT_FALSE(fit.unidentifiable.empty());  // masses and length: the dynamics do not mind

  const PhysicsModel model(*Family(fit.values));
  ThreadPool executor(2);
  MpcController controller(MakePlanner("icem", config,
                                       {testing::Borrowed(model), task.shared_planning_reward(),
                                        task.spec(), testing::Borrowed(executor)}),
                           testing::Borrowed(model));
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const EpisodeResult result = RunEpisode(task, *system, controller, Key{seed, 5},
                                            task.episode_length(), [](const EpisodeStep&) {});
    EXPECT_GE(result.episode_return, 175) << seed;  // planning on the true system: 179
  }
}

}  // namespace
}  // namespace foreplan

// What networks beside physics add: members and noise in gradients, and fits that fail.
#include "foreplan/models/physics/residual_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/model_error.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::SameTensors;

const Task& CartPoleTask() {
  static const Task kTask = Task::Load("cartpole_closed_form").first;
  return kTask;
}

std::vector<double> Normals(size_t count, uint64_t stream, double scale) {
  Random random(Key{6, stream});
  std::vector<double> values(count);
  random.FillNormal(values);
  for (double& value : values) value *= scale;
  return values;
}

// Physics and networks of three members, both of the cart-pole.
class ResidualTapeTest : public ::testing::Test {
 protected:
  ResidualTapeTest()
      : physics_(*CartPoleTask().MakeSystem()),
        residual_(CartPoleTask().spec(), {.sin_cos = {"hinge"}, .omit = {}, .absolute = {}},
                  Options(), Key{1, 1}),
        model_(testing::Borrowed(physics_), testing::Borrowed(residual_)) {
    for (int member = 0; member < 3; ++member) {
      for (float& parameter : residual_.parameters(member)) parameter *= 2;
      residual_.Pack(member);
    }
    residual_.target_normaliser().scale = {0.1, 0.2, 0.3, 0.4};
    residual_.target_normaliser().mean = {0.02, -0.03, 0.05, 0.01};
  }

  static EnsembleOptions Options() {
    EnsembleOptions options = testing::SmallOptions();
    options.members = 3;
    return options;
  }

  // The next states by the tape: [rows x 4].
  std::vector<double> Step(RolloutTape& tape, const std::vector<double>& state,
                           const std::vector<double>& action, int particle, const double* noise) {
    std::vector<double> next(state.size());
    tape.Step({.rows = static_cast<int>(action.size()),
               .state = state.data(),
               .action = action.data(),
               .next_state = next.data(),
               .next_observation = next.data(),
               .particle = particle,
               .particles = 3,
               .key = Key{3, 3},
               .noise = noise});
    return next;
  }

  PhysicsModel physics_;
  Ensemble residual_;
  ResidualDynamics model_;
  const std::vector<double> state_ = Normals(8, 1, 0.5);  // two rows
  const std::vector<double> action_ = Normals(2, 2, 0.5);
  const std::vector<double> noise_ = Normals(8, 3, 1);
};

TEST_F(ResidualTapeTest, EachParticleHasItsMemberAndItsNoise) {
  const auto tape = model_.MakeTape(2, 1);
  const auto physics = physics_.MakeWorkspace(2);
  const auto networks = residual_.MakeWorkspace(2);
  std::vector<double> of_physics(8);
  physics_.Step({.rows = 2,
                 .state = state_.data(),
                 .action = action_.data(),
                 .next_state = of_physics.data(),
                 .key = {}},
                *physics);
  std::vector<std::vector<double>> steps;
  for (int particle = 0; particle < 3; ++particle) {
    std::vector<double> mean(8);
    std::vector<double> deviation(8);
    residual_.PredictTarget(particle, 2, state_.data(), action_.data(), mean.data(),
                            deviation.data(), *networks);
    for (const bool noisy : {true, false}) {
      steps.push_back(Step(*tape, state_, action_, particle, noisy ? noise_.data() : nullptr));
      for (size_t i = 0; i < 8; ++i) {
        const double expected = of_physics[i] + mean[i] + (noisy ? deviation[i] * noise_[i] : 0.0);
        EXPECT_NEAR(steps.back()[i], expected, 1e-5) << particle << " " << i;  // float
      }
    }
  }
  for (size_t a = 0; a < steps.size(); ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_NE(steps[a], steps[b]) << a << " " << b;
  }
}

TEST_F(ResidualTapeTest, StepsTakeTheNoiseOfTheirRowsAsTapesDo) {
  const auto tape = model_.MakeTape(2, 1);
  const auto workspace = model_.MakeWorkspace(2);
  const std::vector<double> by_tape = Step(*tape, state_, action_, 1, noise_.data());
  std::vector<double> next(8);
  model_.Step({.rows = 2,
               .state = state_.data(),
               .action = action_.data(),
               .next_state = next.data(),
               .particle = 1,
               .particles = 3,
               .key = Key{3, 3},
               .noise = noise_.data()},
              *workspace);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(next[i], by_tape[i], 1e-5) << i;  // float
}

TEST_F(ResidualTapeTest, GradientsAreThroughPhysicsMemberAndNoise) {
  const auto tape = model_.MakeTape(2, 1);
  const std::vector<double> weight = Normals(8, 4, 1);
  const std::vector<double> by_observation = Normals(8, 5, 1);
  for (int particle = 0; particle < 3; ++particle) {
    const auto value = [&](const std::vector<double>& state, const std::vector<double>& action) {
      const std::vector<double> next = Step(*tape, state, action, particle, noise_.data());
      double sum = 0;
      for (size_t i = 0; i < 8; ++i) sum += (weight[i] + by_observation[i]) * next[i];
      return sum;
    };
    value(state_, action_);
    std::vector<double> d_state(8);
    std::vector<double> d_action(2);
    tape->PullBack(0, weight.data(), by_observation.data(), d_state.data(), d_action.data());
    const double h = 1e-2;  // networks in float: 1e-5 of rounding, 1e-3 of curvature
    for (size_t i = 0; i < 10; ++i) {
      std::vector<double> z[2][2] = {{state_, action_}, {state_, action_}};
      (i < 8 ? z[0][0][i] : z[0][1][i - 8]) += h;
      (i < 8 ? z[1][0][i] : z[1][1][i - 8]) -= h;
      const double expected = (value(z[0][0], z[0][1]) - value(z[1][0], z[1][1])) / (2 * h);
      EXPECT_NEAR(i < 8 ? d_state[i] : d_action[i - 8], expected, 5e-3 * (1 + std::abs(expected)))
          << particle << " " << i;
    }
  }
}

TEST(RolloutTape, AStochasticModelNeedsOneThatKnowsItsNoise) {
  testing::DoubleIntegrator dynamics;
  EXPECT_NE(dynamics.MakeTape(1, 1), nullptr);
  dynamics.noise = 0.1;
  EXPECT_THROW(static_cast<void>(dynamics.MakeTape(1, 1)), InputError);
}

/// Random pushes from the middle of the track, or from far left of it.
Dataset Pushed(bool far_left, uint64_t stream) {
  const auto system = CartPoleTask().MakeSystem();
  Dataset data(4, 1);
  Random random(Key{8, stream});
  std::vector<double> before(4);
  std::vector<double> after(4);
  std::vector<double> state(system->spec().state.size());
  for (int row = 0; row < 80; ++row) {
    if (row % 20 == 0) {
      system->Reset(Key{9, static_cast<uint64_t>(row)});
      system->GetState(state);
      if (far_left) state[0] -= 3;
      system->SetState(state);
    }
    system->Observe(before);
    const std::vector<double> action = {random.Uniform(-1, 1)};
    EXPECT_EQ(system->Step(action), StepStatus::kOk);
    system->Observe(after);
    for (double& value : after) value += 1e-3 * random.Normal();
    data.Add(before, action, after, row / 20);
  }
  return data;
}

TEST(ResidualModel, ARefusedFileLeavesPhysicsAndNetworksAsTheyWere) {
  const Task task = Task::Load("cartpole_closed_form").first;
  ThreadPool executor(2);
  ResidualModel model(task, {.unknowns = {"cart_mass = 5 in [0.5, 100]"}, .ties = {}, .fit = {}},
                      testing::SmallOptions(), testing::QuickFit(3), Key{1, 1},
                      testing::Borrowed(executor));
  TensorFile file;
  model.Save(file);  // physics as guessed
  std::get<std::vector<float>>(file.tensors.at("model.parameters").values)[7] =
      std::numeric_limits<float>::quiet_NaN();
  model.Fit(Pushed(false, 1), Key{1, 2});
  TensorFile before;
  model.Save(before);
  for (const bool for_use : {false, true}) {
    EXPECT_THROW(for_use ? model.RestorePredictor(file) : model.Restore(file), InputError);
    TensorFile after;
    model.Save(after);
    EXPECT_TRUE(SameTensors(before, after)) << for_use;
    EXPECT_EQ(before.metadata, after.metadata);
  }
}

// Within [0, 2 pi) a pole that falls through 0 jumps up by a turn, away from where physics take it.
TEST(ResidualModel, LearnsFromAnglesWithinATurnAsFromThoseThatGoOn) {
  const Task task = Task::Load("cartpole_closed_form").first;
  const auto system = task.MakeSystem();
  Dataset going_on(4, 1);
  Dataset within(4, 1);
  const auto wrapped = [](std::vector<double> state) {
    state[1] -= 2 * std::numbers::pi * std::floor(state[1] / (2 * std::numbers::pi));
    return state;
  };
  std::vector<double> state;
  std::vector<double> next(4);
  Random random(Key{5, 2});
  int jumps = 0;
  for (int t = 0; t < 80; ++t) {
    const int episode = t / 10;
    if (t % 10 == 0) state = {0, 3 + 0.1 * episode, 0, -20};
    const std::vector<double> action = {random.Uniform(-1, 1)};
    system->SetState(state);
    ASSERT_EQ(system->Step(action), StepStatus::kOk);
    system->GetState(next);
    going_on.Add(state, action, next, episode);
    within.Add(wrapped(state), action, wrapped(next), episode);
    // Far enough before 0 that the turn added to it is beyond all turns.
    jumps += wrapped(state)[1] > 0.35 && wrapped(next)[1] - wrapped(state)[1] > 3 ? 1 : 0;
    state = next;
  }
  ASSERT_GE(jumps, 1);
  ThreadPool executor(1);
  const auto error = [&](const Dataset& data) {
    ResidualModel model(task, {.unknowns = {"cart_mass = 5 in [0.5, 100]"}, .ties = {}, .fit = {}},
                        testing::SmallOptions(), testing::QuickFit(20), Key{1, 1},
                        testing::Borrowed(executor));
    model.Fit(data, Key{1, 2});
    return ModelJudge(model).Judge(data, 0, data.size(), 3).one_step_rmse;
  };
  // Physics explain all; what the networks add is of the size of rounding.
  EXPECT_LT(error(going_on), 1e-3);
  EXPECT_LT(error(within), 1e-3);
}

TEST(ResidualModel, WhenTheNetworksFailThePhysicsStayToo) {
  // The networks' input is a number only near the middle; the physics fit anywhere.
  const std::vector<std::string> settings = {"encoding.inputs=['log(slider + 2)']"};
  const Task task = Task::Load("cartpole_closed_form", settings).first;
  ThreadPool executor(2);
  ResidualModel model(task, {.unknowns = {"cart_mass = 5 in [0.5, 100]"}, .ties = {}, .fit = {}},
                      testing::SmallOptions(), testing::QuickFit(20), Key{1, 1},
                      testing::Borrowed(executor));
  model.Fit(Pushed(false, 1), Key{1, 2});
  TensorFile before;
  model.Save(before);
  const std::string description = model.Describe().dump();
  EXPECT_THROW(model.Fit(Pushed(true, 2), Key{1, 3}), RunError);
  TensorFile after;
  model.Save(after);
  EXPECT_TRUE(SameTensors(before, after));
  EXPECT_EQ(before.metadata, after.metadata);
  EXPECT_EQ(model.Describe().dump(), description);
  // The same rows in reach: both parts go on.
  model.Fit(Pushed(false, 2), Key{1, 3});
  model.Save(after);
  EXPECT_NE(before.tensors.at("physics.values").values, after.tensors.at("physics.values").values);
}

}  // namespace
}  // namespace foreplan

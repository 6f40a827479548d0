// Angles that are logged within one turn: what is learned and how it is judged are those of the
// same motion logged without wrapping.
#include "foreplan/models/observation_difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/thread_pool.h"
#include "foreplan/models/calibration.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/models/model_error.h"
#include "foreplan/models/physics/fitted_physics.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kTurn = 2 * kPi;

SystemSpec TurningSpec() {
  SystemSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"angle", "rad"}, {"angle_velocity", "rad/s"}};
  spec.state = spec.observation;
  spec.action = {{"torque", "N m"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

Encoding Angles(const std::string& name) {
  Encoding encoding;
  encoding.sin_cos = {name};
  return encoding;
}

/// One component within (-pi, pi].
Dataset Wrapped(const Dataset& data, size_t component) {
  Dataset wrapped(data.observation_dim(), data.action_dim());
  for (int64_t row = 0; row < data.size(); ++row) {
    std::vector<double> from(data.observation(row).begin(), data.observation(row).end());
    std::vector<double> to(data.next_observation(row).begin(), data.next_observation(row).end());
    from[component] = std::remainder(from[component], kTurn);
    to[component] = std::remainder(to[component], kTurn);
    wrapped.Add(from, data.action(row), to, data.episode(row));
  }
  return wrapped;
}

TEST(ObservationDifference, IsWithinHalfATurnForAnglesAlone) {
  const ObservationDifference difference(TurningSpec(), Angles("angle"));
  EXPECT_TRUE(difference.is_angle(0));
  EXPECT_FALSE(difference.is_angle(1));
  EXPECT_NEAR(difference(0, -3.1, 3.1), kTurn - 6.2, 1e-15);
  EXPECT_NEAR(difference(0, 3.1, -3.1), 6.2 - kTurn, 1e-15);
  EXPECT_NEAR(difference(0, 0.1 + 5 * kTurn, 0.0), 0.1, 1e-14);
  EXPECT_EQ(difference(0, 0.3, 0.1), 0.3 - 0.1);  // to the bit where nothing wraps
  EXPECT_EQ(difference(1, 3.1, -3.1), 6.2);
  EXPECT_EQ(ObservationDifference()(0, 3.1, -3.1), 6.2);
}

TEST(ObservationDifference, TargetsAreChangesWithinHalfATurn) {
  const double observation[2] = {3.1, 5};
  const double next[2] = {-3.1, -5};
  double target[2];
  FeatureMap(TurningSpec(), Angles("angle")).Target(observation, next, target);
  EXPECT_NEAR(target[0], kTurn - 6.2, 1e-15);
  EXPECT_EQ(target[1], -10);
  // An angle that goes on beyond a turn may really move by more than half of one.
  const double far[2] = {-20, -37};
  const double farther[2] = {-23.75, -37};
  FeatureMap(TurningSpec(), Angles("angle")).Target(far, farther, target);
  EXPECT_EQ(target[0], -3.75);
  // From where the rate takes it: 3.1 + 0.1 * 5.
  Encoding integrated = Angles("angle");
  integrated.integrate = {"angle"};
  FeatureMap(TurningSpec(), integrated).Target(observation, next, target);
  EXPECT_NEAR(target[0], kTurn - 6.2 - 0.5, 1e-15);
  // As such: the angle itself.
  Encoding absolute = Angles("angle");
  absolute.absolute = {"angle"};
  FeatureMap(TurningSpec(), absolute).Target(observation, next, target);
  EXPECT_EQ(target[0], -3.1);
}

TEST(ObservationDifference, UnwrapsAnglesFromTheStartOfEachStretch) {
  const ObservationDifference difference(TurningSpec(), Angles("angle"));
  Dataset data(2, 1);
  const auto add = [&](double from, double to, int episode) {
    data.Add(std::vector{from, 9 * from}, std::vector{1.0}, std::vector{to, 9 * to}, episode);
  };
  add(3.0, -3.0, 1);
  add(-3.0, 2.9, 1);
  add(2.9, -2.8, 1);
  add(-2.8, -2.7, 1);
  add(-2.6, -2.5, 1);  // rows between are lost
  add(-2.5, -2.4, 2);
  const Dataset unwrapped = difference.Unwrapped(data);
  const std::vector<double> from = {3, kTurn - 3, 2.9, kTurn - 2.8, -2.6, -2.5};
  const std::vector<double> to = {kTurn - 3, 2.9, kTurn - 2.8, kTurn - 2.7, -2.5, -2.4};
  for (int64_t row = 0; row < data.size(); ++row) {
    const auto i = static_cast<size_t>(row);
    EXPECT_NEAR(unwrapped.observation(row)[0], from[i], 1e-14) << row;
    EXPECT_NEAR(unwrapped.next_observation(row)[0], to[i], 1e-14) << row;
    EXPECT_EQ(unwrapped.observation(row)[1], data.observation(row)[1]);
    EXPECT_EQ(unwrapped.next_observation(row)[1], data.next_observation(row)[1]);
    EXPECT_EQ(unwrapped.episode(row), data.episode(row));
  }
  EXPECT_TRUE(unwrapped.continues(1) && unwrapped.continues(2) && unwrapped.continues(3));

  Dataset spinning(2, 1);
  spinning.Add(std::vector{-20.0, 0.0}, std::vector{1.0}, std::vector{-23.75, 0.0}, 1);
  EXPECT_EQ(difference.Unwrapped(spinning).next_observation(0)[0], -23.75);
}

/// angle' = angle + action, two members that are off to either side.
class TurningModel final : public LearnedModel {
 public:
  explicit TurningModel(const ObservationDifference& difference) : difference_(difference) {
    Publish(std::make_shared<::foreplan::testing::DoubleIntegrator>());  // its sizes
  }

  int members() const override { return 2; }
  std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(int /*max_rows*/) const override {
    return std::make_unique<Dynamics::Workspace>();
  }
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace&) const override {
    ASSERT_EQ(rows, 1);
    mean[0] = observation[0] + action[0] + (member == 0 ? 0.01 : -0.02);
    mean[1] = observation[1];
    deviation[0] = 0.05;
    deviation[1] = 0.1;
  }
  std::span<const double> scale() const override { return scale_; }
  const ObservationDifference& difference() const override { return difference_; }
  void Save(TensorFile&) const override {}
  void Restore(const TensorFile&) override {}

 private:
  FitMetrics FitVersion(const Dataset&, Key, const FitControl&) override { return {}; }

  ObservationDifference difference_;
  std::vector<double> scale_ = {0.5, 0.1};
};

/// Eight episodes of 12 steps through several turns either way.
Dataset Turning(Key key) {
  Dataset data(2, 1);
  Random random(key);
  for (int episode = 1; episode <= 8; ++episode) {
    double angle = 3 * random.Normal();
    for (int t = 0; t < 12; ++t) {
      const double turn = 0.8 * random.Normal() + (episode % 2 == 0 ? 0.5 : -0.5);
      const double next = angle + turn + 0.05 * random.Normal();
      data.Add(std::vector{angle, 1.0}, std::vector{turn}, std::vector{next, 1.0}, episode);
      angle = next;
    }
  }
  return data;
}

TEST(ObservationDifference, WrappedAnglesAreJudgedAsUnwrappedOnes) {
  const Dataset unwrapped = Turning(Key{1, 2});
  const Dataset wrapped = Wrapped(unwrapped, 0);
  const TurningModel model(ObservationDifference(TurningSpec(), Angles("angle")));
  CalibrationOptions options;
  options.horizon = 4;
  options.particles = 8;
  ThreadPool executor(1);
  const auto judge = [&](const Dataset& data) {
    return Calibrate(model, {data, data, ""}, options, Key{3, 1}, executor);
  };
  const Calibration expected = judge(unwrapped);
  const Calibration found = judge(wrapped);
  constexpr double kRounding = 1e-12;  // of angles of some ten turns
  ASSERT_EQ(found.horizons.size(), expected.horizons.size());
  for (size_t h = 0; h < found.horizons.size(); ++h) {
    EXPECT_LT(found.horizons[h].rmse[0], 0.2);
    EXPECT_NEAR(found.horizons[h].rmse[0], expected.horizons[h].rmse[0], kRounding);
    EXPECT_NEAR(found.horizons[h].persistence[0], expected.horizons[h].persistence[0], kRounding);
    EXPECT_NEAR(found.horizons[h].epistemic_share[0], expected.horizons[h].epistemic_share[0],
                kRounding);
    EXPECT_EQ(found.horizons[h].coverage[0], expected.horizons[h].coverage[0]);
  }
  EXPECT_NEAR(found.nll, expected.nll, kRounding);
  EXPECT_NEAR(found.members[0].rmse, expected.members[0].rmse, kRounding);
  EXPECT_NEAR(found.novelty.training_95, expected.novelty.training_95, kRounding);

  const ModelError of_unwrapped = ModelJudge(model).Judge(unwrapped, 0, unwrapped.size(), 3);
  const ModelError of_wrapped = ModelJudge(model).Judge(wrapped, 0, wrapped.size(), 3);
  EXPECT_LT(of_wrapped.one_step_rmse, 0.2);
  EXPECT_NEAR(of_wrapped.one_step_rmse, of_unwrapped.one_step_rmse, kRounding);
  EXPECT_NEAR(of_wrapped.open_loop_rmse, of_unwrapped.open_loop_rmse, kRounding);
  EXPECT_EQ(of_wrapped.coverage_90, of_unwrapped.coverage_90);
}

TEST(ObservationDifference, PhysicsAreFittedToWrappedAnglesAsToUnwrappedOnes) {
  const Task task = Task::Load("cartpole_closed_form").first;
  const auto system = task.MakeSystem();
  Dataset data(4, 1);
  Random random(Key{5, 1});
  std::vector<double> state = {0, 2.5, 0, 4};
  std::vector<double> next(4);
  for (int t = 0; t < 60; ++t) {
    const std::vector<double> action = {random.Uniform(-1, 1)};
    system->SetState(state);
    ASSERT_EQ(system->Step(action), StepStatus::kOk);
    system->GetState(next);
    data.Add(state, action, next, 1);
    state = next;
  }
  const Dataset wrapped = Wrapped(data, 1);
  ASSERT_GT(data.next_observation(59)[1], kPi);  // from 2.5: the hinge has passed where it wraps
  PhysicsOptions options;
  options.unknowns = {"cart_mass = 5 in [0.5, 100]", "hinge_damping = 0.1 in [0, 20]"};
  FittedPhysics of_unwrapped(task, options);
  FittedPhysics of_wrapped(task, options);
  of_unwrapped.Fit(data, Key{1, 1});
  of_wrapped.Fit(wrapped, Key{1, 1});
  TensorFile expected;
  TensorFile found;
  of_unwrapped.Save(expected);
  of_wrapped.Save(found);
  const std::vector<int64_t> any = {-1, -1};
  for (size_t i = 0; i < 2; ++i) {
    const double value = expected.Doubles("physics.values", any)[i];
    EXPECT_NEAR(found.Doubles("physics.values", any)[i], value, 1e-6 * value);
  }
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(of_wrapped.scale()[i], of_unwrapped.scale()[i], 1e-9);
  }
}

}  // namespace
}  // namespace foreplan

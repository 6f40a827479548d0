#include "foreplan/critics/actor_critic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/size.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/critics/testing/soft_return_in_double.h"

namespace foreplan {
namespace {

using testing::SmallWorld;

constexpr int kRows = 12;

ActorCriticOptions SmallOptions(int horizon) {
  return {.batch = kRows,
          .horizon = horizon,
          .particles = 4,
          .discount = 0.9,
          .learning_rate = 1e-2,
          .temperature = 0.2,
          .temperature_rate = 1e-2};
}

struct OneStep {
  OneStep()
      : observation(Size(kRows, 3)),
        action(Size(kRows, 2), 0.5),
        next_observation(observation.size()),
        reward(kRows, 1),
        terminated(kRows) {
    Random random(Key{11, 0});
    for (double& value : observation) value = random.Normal();
    for (double& value : next_observation) value = random.Normal();
  }
  [[nodiscard]] OneStepRows rows() const {
    return {observation, action, next_observation, reward, terminated};
  }
  std::vector<double> observation, action, next_observation, reward;
  std::vector<uint8_t> terminated;
};

std::string BytesOf(const SmallWorld& w, const ActorCritic& actor_critic) {
  TensorFile file;
  w.policy.Save("policy.", file);
  w.critics.Save("critic.", file);
  actor_critic.Save(file);
  return SerializeTensors(file, "state");
}

TEST(ActorCritic, ThreadsChangeNoBitAndUpdatesAllocateNothing) {
  const auto ensemble = std::make_shared<Ensemble>(testing::SmallEnsemble());
  std::vector<std::string> bytes;
  for (const int threads : {1, 2, 3}) {
    const auto executor = std::make_shared<ThreadPool>(threads);
    SmallWorld w(kRows, testing::SmallCriticOptions(), executor);
    w.reward->end_above = 0.5;
    ActorCritic actor_critic(w.policy, w.critics, SmallOptions(3), executor);
    actor_critic.set_model({ensemble, w.reward});
    ActorCriticReport report;
    const OneStep rows;
    const OneStepRows one_step = rows.rows();
    actor_critic.Update(w.starts, nullptr, Key{1, 0}, true, report);
    EXPECT_EQ(testing::CountAllocations([&] {
                for (uint64_t update = 1; update < 6; ++update) {
                  actor_critic.Update(w.starts, nullptr, Key{1, update}, true, report);
                  actor_critic.Update(w.starts, &one_step, Key{2, update}, update % 2 == 0, report);
                }
              }),
              0);
    bytes.push_back(BytesOf(w, actor_critic));
    EXPECT_EQ(report.updates, 11);
    EXPECT_EQ(report.actor_updates, 8);
    EXPECT_EQ(report.rollouts, 8 * kRows);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(bytes[0], bytes[2]);
}

TEST(ActorCritic, CriticsAloneLearnTheExpansionAlongTheActorsRollouts) {
  SmallWorld w(kRows);
  SmallWorld other(kRows);
  const auto state_of = [](const SmallWorld& world) {
    TensorFile file;
    world.policy.Save("policy.", file);
    world.critics.Save("critic.", file);
    return SerializeTensors(file, "state");
  };
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(3), w.executor);
  actor_critic.set_model(w.version());
  ActorCriticReport report;
  const Key key{1, 5};
  actor_critic.Update(w.starts, nullptr, key, false, report);
  // The same by hand: bounds first, then targets within them.
  const double alpha = actor_critic.temperature();
  SoftReturn imagined(other.policy, other.critics,
                      {.horizon = 3, .rows = kRows, .particles = 4, .discount = 0.9},
                      other.executor);
  imagined.set_model(other.version());
  imagined.Roll(other.starts, key.Fold(0));
  other.critics.Observe(imagined.SoftRewards(alpha), 0.9);
  std::vector<double> y(kRows);
  imagined.Targets(alpha, y);
  const CriticReport step = other.critics.TakeStep(kRows, imagined.first_inputs().data(), y.data());
  EXPECT_EQ(state_of(w), state_of(other));
  EXPECT_EQ(report.critic_loss, step.loss);
  EXPECT_EQ(report.updates, 1);
  EXPECT_EQ(report.actor_updates, 0);
  EXPECT_EQ(actor_critic.temperature(),
            std::exp(static_cast<double>(static_cast<float>(std::log(0.2)))));
}

TEST(ActorCritic, RowsThatTerminatedAreWorthTheirReward) {
  // What follows, far away or not a number, counts for nothing.
  std::vector<std::string> bytes;
  for (const double next : {0.0, 1e4}) {
    CriticOptions options = testing::SmallCriticOptions();
    options.bounded = false;
    SmallWorld w(kRows, options);
    ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
    OneStep rows;
    rows.terminated.assign(kRows, 1);
    std::ranges::fill(rows.next_observation, next);
    const OneStepRows one_step = rows.rows();
    ActorCriticReport report;
    actor_critic.Update(w.starts, &one_step, Key{1, 0}, false, report);
    bytes.push_back(BytesOf(w, actor_critic));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

/// Pays 1 a step, and ends where x' is above a limit.
class PaysUntilTheEnd final : public Reward {
 public:
  explicit PaysUntilTheEnd(double limit) : limit_(limit) {}
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = 1;
      terminated[row] = batch.next_observation[Size(row, 3)] > limit_ ? 1 : 0;
    }
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    std::fill_n(gradient, Size(batch.rows, 8), 0.0);
  }

 private:
  double limit_;
};

TEST(ActorCritic, ValuesMayBeNothingWhereSomeRolloutsEnd) {
  CriticOptions options = testing::SmallCriticOptions();
  options.bounds_rate = 1;
  ActorCriticOptions almost_without_entropy = SmallOptions(3);
  almost_without_entropy.temperature = 1e-8;
  for (const bool ends : {false, true}) {
    SmallWorld w(kRows, options);
    const double middle = w.starts[Size(kRows / 2, 3)];
    ActorCritic actor_critic(w.policy, w.critics, almost_without_entropy, w.executor);
    actor_critic.set_model({w.model, std::make_shared<PaysUntilTheEnd>(ends ? middle : 1e9)});
    ActorCriticReport report;
    actor_critic.Update(w.starts, nullptr, Key{1, 0}, false, report);
    EXPECT_NEAR(w.critics.bounds().low, ends ? 0 : 10, 1e-5);  // 1 / (1 - 0.9)
    EXPECT_NEAR(w.critics.bounds().high, 10, 1e-5);
    OneStep rows;
    rows.terminated[3] = ends ? 1 : 0;
    const OneStepRows one_step = rows.rows();
    actor_critic.Update(w.starts, &one_step, Key{1, 1}, false, report);
    EXPECT_NEAR(w.critics.bounds().low, ends ? 0 : 10, 1e-5);
  }
}

/// Stays where it is.
class Still final : public testing::ObservedState<1, 1> {
 public:
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    std::copy_n(batch.state, batch.rows, batch.next_state);
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    std::fill_n(batch.A, batch.rows, 1.0);
    std::fill_n(batch.B, batch.rows, 0.0);
  }
};

/// r = -c u^2 / 2.
class Cost final : public Reward {
 public:
  static constexpr double kCurvature = 10;  // c
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = -0.5 * kCurvature * batch.action[row] * batch.action[row];
      terminated[row] = 0;
    }
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    for (int row = 0; row < batch.rows; ++row) {
      gradient[3 * row] = gradient[3 * row + 2] = 0;
      gradient[3 * row + 1] = -kCurvature * batch.action[row];
    }
  }
};

TEST(ActorCritic, TheTemperatureFindsTheOneOfItsTargetEntropyFromBothSides) {
  for (const double first : {0.04, 0.16}) {
    const auto executor = std::make_shared<SerialExecutor>();
    SquashedGaussianPolicy policy(FeatureMap(1), std::vector<double>{-1}, std::vector<double>{1},
                                  {.hidden_layers = 1, .width = 4, .kernel = "eigen"}, Key{1, 0});
    // The deviation that the target entropy asks for, or nearly so: the way there is not the
    // matter.
    std::ranges::fill(policy.parameters(), 0.0F);
    policy.parameters().back() = static_cast<float>(std::log(std::expm1(0.1)));
    CriticEnsemble critics(1, 1, {.critics = 1, .hidden_layers = 1, .width = 2, .kernel = "eigen"},
                           256, Key{2, 0}, executor);
    ActorCritic actor_critic(policy, critics,
                             {.batch = 256,
                              .horizon = 1,
                              .particles = 1,
                              .discount = 0,  // what is earned at once is all
                              .learning_rate = 5e-3,
                              .temperature = first,
                              .temperature_rate = 3e-3},
                             executor);
    actor_critic.set_model({std::make_shared<Still>(), std::make_shared<Cost>()});
    const std::vector<double> starts(256, 0.0);
    ActorCriticReport report;
    double mean = 0;  // of what noise leaves of the last updates
    for (uint64_t update = 0; update < 900; ++update) {
      actor_critic.Update(starts, nullptr, Key{3, update}, true, report);
      if (update >= 700) mean += actor_critic.temperature() / 200;
    }
    // N(0, sigma) with entropy -1, unsquashed: sigma^2 = e^-2 / (2 pi e), alpha = c sigma^2. The
    // squashing at sigma = 0.09 is worth 1 %, the noise of the updates half as much.
    const double expected =
        Cost::kCurvature * std::exp(-2) / (2 * std::numbers::pi * std::numbers::e);
    EXPECT_NEAR(mean, expected, 0.02 * expected);
  }
}

TEST(ActorCritic, TheTemperatureRisesWhereTheEntropyIsBelowItsTarget) {
  for (const double target : {-5.0, 5.0}) {
    SmallWorld w(kRows);
    ActorCriticOptions options = SmallOptions(0);
    options.target_entropy = target;
    ActorCritic actor_critic(w.policy, w.critics, options, w.executor);
    const OneStep rows;
    const OneStepRows one_step = rows.rows();
    ActorCriticReport report;
    const double before = actor_critic.temperature();
    actor_critic.Update(w.starts, &one_step, Key{1, 0}, true, report);
    // The first step of Adam is its rate.
    EXPECT_NEAR(std::log(actor_critic.temperature() / before), target > 0 ? 1e-2 : -1e-2, 1e-5);
    EXPECT_GT(report.entropy, -5 * 2);
    EXPECT_LT(report.entropy, 2 * std::numbers::ln2);  // of the uniform policy
  }
}

TEST(ActorCritic, ATemperatureWithoutARateStays) {
  SmallWorld w(kRows);
  ActorCriticOptions options = SmallOptions(0);
  options.temperature_rate = 0;
  ActorCritic actor_critic(w.policy, w.critics, options, w.executor);
  const OneStep rows;
  const OneStepRows one_step = rows.rows();
  ActorCriticReport report;
  const double before = actor_critic.temperature();
  actor_critic.Update(w.starts, &one_step, Key{1, 0}, true, report);
  EXPECT_EQ(actor_critic.temperature(), before);
  EXPECT_NEAR(before, 0.2, 1e-7);  // its logarithm is a float
}

/// Rows by which the critics cannot learn.
OneStep WithoutBounds() {
  OneStep rows;
  std::ranges::fill(rows.reward, std::numeric_limits<double>::infinity());
  return rows;
}

TEST(ActorCritic, GradientsThatAreNotFiniteAreLeftOutCountedAndInTheEndAnError) {
  SmallWorld w(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
  const OneStep good;
  const OneStep bad = WithoutBounds();
  const OneStepRows good_rows = good.rows();
  const OneStepRows bad_rows = bad.rows();
  ActorCriticReport report;
  const auto update = [&](const OneStepRows& rows, int count, bool trains_actor) {
    for (int i = 0; i < count; ++i) {
      actor_critic.Update(w.starts, &rows, Key{1, 0}, trains_actor, report);
    }
  };
  update(good_rows, 1, true);
  const std::string before = BytesOf(w, actor_critic);
  TensorFile counters;
  update(bad_rows, 1, false);
  actor_critic.Save(counters);
  EXPECT_EQ(std::get<std::vector<int32_t>>(counters.tensors.at("actor_critic.counters").values),
            (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(report.invalid_updates, 1);
  EXPECT_EQ(report.updates, 2);
  update(good_rows, 1, false);
  EXPECT_NE(BytesOf(w, actor_critic), before);
  // The actor's good gradients do not hide the critics'.
  update(bad_rows, ActorCritic::kMostInvalid - 1, true);
  update(good_rows, 1, true);
  update(bad_rows, ActorCritic::kMostInvalid - 1, true);
  EXPECT_EQ(MessageOf<RunError>([&] { update(bad_rows, 1, true); }),
            "actor critic: 100 gradients of the critics in a row were not finite; a smaller "
            "learning_rate or a shorter horizon may help");
}

TEST(ActorCritic, AnInvalidUpdateChangesNothing) {
  SmallWorld w(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
  const OneStep rows = WithoutBounds();
  const OneStepRows one_step = rows.rows();
  const auto state_of = [&] {
    TensorFile file;
    w.policy.Save("policy.", file);
    w.critics.Save("critic.", file);
    return SerializeTensors(file, "state");
  };
  const std::string before = state_of();
  ActorCriticReport report;
  actor_critic.Update(w.starts, &one_step, Key{1, 0}, false, report);
  EXPECT_EQ(state_of(), before);
  EXPECT_EQ(report.critic_loss, 0);
  EXPECT_EQ(report.critic_value, 0);
}

TEST(ActorCritic, AnActorWithoutGradientsIsAnErrorHoweverWellCriticsLearn) {
  SmallWorld w(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
  w.policy.parameters()[0] = std::numeric_limits<float>::quiet_NaN();
  OneStep rows;
  rows.terminated.assign(kRows, 1);  // what the actor would do next does not matter
  const OneStepRows one_step = rows.rows();
  ActorCriticReport report;
  const double temperature = actor_critic.temperature();
  for (int i = 0; i < ActorCritic::kMostInvalid - 1; ++i) {
    actor_critic.Update(w.starts, &one_step, Key{1, 0}, true, report);
  }
  EXPECT_EQ(report.actor_updates, 0);
  EXPECT_EQ(actor_critic.temperature(), temperature);
  EXPECT_TRUE(std::isnan(w.policy.parameters()[0]));
  EXPECT_TRUE(std::isfinite(report.critic_loss));
  EXPECT_EQ(MessageOf<RunError>([&] {
              actor_critic.Update(w.starts, &one_step, Key{1, 0}, true, report);
            }),
            "actor critic: 100 gradients of the actor in a row were not finite; a smaller "
            "learning_rate or a shorter horizon may help");
}

TEST(ActorCritic, GoesOnToTheBitFromAFile) {
  SmallWorld w(kRows);
  SmallWorld other(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(2), w.executor);
  ActorCritic restored(other.policy, other.critics, SmallOptions(2), other.executor);
  actor_critic.set_model(w.version());
  restored.set_model(other.version());
  ActorCriticReport report;
  for (uint64_t update = 0; update < 3; ++update) {
    actor_critic.Update(w.starts, nullptr, Key{1, update}, true, report);
  }
  TensorFile file;
  w.policy.Save("policy.", file);
  w.critics.Save("critic.", file);
  actor_critic.Save(file);
  other.policy.Restore("policy.", file);
  other.critics.Restore("critic.", file);
  restored.Restore(file);
  for (uint64_t update = 3; update < 6; ++update) {
    actor_critic.Update(w.starts, nullptr, Key{1, update}, true, report);
    restored.Update(other.starts, nullptr, Key{1, update}, true, report);
  }
  EXPECT_EQ(BytesOf(other, restored), BytesOf(w, actor_critic));
}

TEST(ActorCritic, ABadFileIsNamed) {
  SmallWorld w(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
  TensorFile good;
  actor_critic.Save(good);
  good.source = "state.safetensors";
  const auto expect = [&](const std::string& tensor, const auto& spoil) {
    TensorFile file = good;
    spoil(file.tensors.at(tensor));
    const std::string text = MessageOf([&] { actor_critic.Restore(file); });
    EXPECT_NE(text.find("state.safetensors"), std::string::npos) << text;
    EXPECT_NE(text.find(tensor), std::string::npos) << text;
  };
  expect("actor_critic.log_temperature",
         [](Tensor& t) { t.values = std::vector<float>{std::numeric_limits<float>::quiet_NaN()}; });
  expect("actor_critic.counters", [](Tensor& t) { t.values = std::vector<int32_t>{0, -1}; });
  expect("actor_critic.temperature_second_moment",
         [](Tensor& t) { t.values = std::vector<float>{-1}; });
  expect("actor_critic.actor_first_moment", [](Tensor& t) { t.shape = {1}; });
}

TEST(ActorCritic, ForgettingMomentsForgetsThoseOfAllThree) {
  SmallWorld w(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
  const OneStep rows;
  const OneStepRows one_step = rows.rows();
  ActorCriticReport report;
  actor_critic.Update(w.starts, &one_step, Key{1, 0}, true, report);
  const double temperature = actor_critic.temperature();
  actor_critic.ForgetMoments();
  TensorFile file;
  actor_critic.Save(file);
  w.critics.Save("actor_critic.critic_", file);
  for (const char* whose : {"actor", "temperature", "critic"}) {
    const std::string prefix = std::string("actor_critic.") + whose + "_";
    EXPECT_EQ(std::get<std::vector<int32_t>>(file.tensors.at(prefix + "adam_steps").values)[0], 0);
    for (const float moment : testing::FloatsOf(file, prefix + "first_moment")) {
      EXPECT_EQ(moment, 0.0F);
    }
  }
  EXPECT_EQ(actor_critic.temperature(), temperature);
}

TEST(ActorCritic, InAnotherScalePolicyAndCriticsStayWhatTheyAre) {
  SmallWorld w(kRows);
  ActorCritic actor_critic(w.policy, w.critics, SmallOptions(0), w.executor);
  const auto values = [&] {
    const ObservationEncoder& encoder = w.policy.encoder();
    std::vector<float> x(Size(kRows, 4));
    encoder.Encode(kRows, w.starts.data(), x.data());
    std::vector<float> inputs;
    for (size_t row = 0; row < kRows; ++row) {
      inputs.insert(inputs.end(), &x[4 * row], &x[4 * row] + 4);
      inputs.insert(inputs.end(), {0.3F, -0.2F});
    }
    std::vector<double> found(kRows);
    w.critics.Evaluate(kRows, inputs.data(), found);
    SquashedActor actor(w.policy, PolicyAction::kMean);
    for (int row = 0; row < kRows; ++row) {
      std::array<double, 2> action = {};
      actor.Act({.observation = std::span(w.starts).subspan(Size(row, 3), 3), .key = {}}, action);
      found.insert(found.end(), action.begin(), action.end());
    }
    return found;
  };
  const std::vector<double> before = values();
  Normaliser normaliser(4);
  normaliser.mean = {1, -2, 0, 0};
  normaliser.scale = {3, 0.4, 1, 1};
  actor_critic.Rescale(normaliser);
  const std::vector<double> after = values();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(after[i], before[i], 5e-6);  // float
}

TEST(ActorCritic, NamesOptionsOutOfRange) {
  SmallWorld w(kRows);
  const auto expect = [&](const std::string& name, const auto& spoil) {
    ActorCriticOptions options = SmallOptions(0);
    spoil(options);
    const std::string text =
        MessageOf([&] { ActorCritic(w.policy, w.critics, options, w.executor); });
    EXPECT_NE(text.find("actor_critic.training." + name), std::string::npos) << text;
  };
  expect("batch", [](ActorCriticOptions& o) { o.batch = 0; });
  expect("horizon", [](ActorCriticOptions& o) { o.horizon = -1; });
  expect("particles", [](ActorCriticOptions& o) { o.particles = 0; });
  expect("discount", [](ActorCriticOptions& o) { o.discount = 1; });
  expect("learning_rate", [](ActorCriticOptions& o) { o.learning_rate = 0; });
  expect("temperature", [](ActorCriticOptions& o) { o.temperature = 0; });
  expect("temperature_rate", [](ActorCriticOptions& o) { o.temperature_rate = 2; });
  expect("target_entropy", [](ActorCriticOptions& o) { o.target_entropy = -200; });
}

}  // namespace
}  // namespace foreplan

#include "foreplan/critics/critic_value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/core/thread_pool.h"

namespace foreplan {
namespace {

constexpr int kObservation = 3;
constexpr int kAction = 2;
constexpr int kRows = 150;  // more than two blocks

struct Judges {
  Judges()
      : policy(FeatureMap(kObservation), std::vector<double>{-1, -3}, std::vector<double>{1, 5},
               {.hidden_layers = 2, .width = 8}, Key{1, 0}),
        critics(kObservation, kAction, {.critics = 3, .hidden_layers = 2, .width = 8}, kRows,
                Key{2, 0}, std::make_shared<SerialExecutor>()),
        observations(Size(kRows, kObservation)) {
    Normaliser scale(kObservation);
    scale.mean = {0.1, -0.2, 0.3};
    scale.scale = {0.5, 2, 1.5};
    policy.Rescale(scale);
    critics.Rescale(Normaliser(kObservation), scale);
    for (int k = 0; k < critics.critics(); ++k) {  // their last layers begin at 0
      Random random(Key{3, static_cast<uint64_t>(k)});
      for (float& parameter : critics.parameters(k)) {
        parameter = static_cast<float>(0.4 * random.Normal());
      }
    }
    Random random(Key{5, 0});
    for (float& parameter : policy.parameters()) {  // actions come near their bounds
      parameter = static_cast<float>(0.6 * random.Normal());
    }
    std::vector<double> rewards = {-1, 0, 2, 3};
    critics.Observe(rewards, 0.9);
    Random(Key{4, 0}).FillNormal(observations);
  }

  SquashedGaussianPolicy policy;
  CriticEnsemble critics;
  std::vector<double> observations;  // [rows x no]
};

TEST(CriticValue, IsTheMeanOfTheCriticsAtTheMeanAction) {
  const Judges j;
  const CriticValue value(j.policy, j.critics);
  std::vector<double> v(kRows);
  value.Evaluate(kRows, j.observations.data(), v.data());
  SquashedActor actor(j.policy, PolicyAction::kMean);
  std::vector<float> input(Size(j.critics.inputs()));
  std::vector<double> action(kAction);
  std::vector<double> half(kAction);
  for (int row = 0; row < kRows; ++row) {
    const std::span<const double> observation =
        std::span(j.observations).subspan(Size(row, kObservation), kObservation);
    actor.Act({.observation = observation, .time = 0, .key = {}}, action);
    j.policy.FromTask(action.data(), half.data());
    j.policy.encoder().Encode(1, observation.data(), input.data());
    for (int i = 0; i < kAction; ++i) {
      input[Size(kObservation + i)] = static_cast<float>(half[Size(i)]);
    }
    std::vector<double> q(1);
    j.critics.Evaluate(1, input.data(), q);
    // Sums of float products in another order, times a range of 25.
    EXPECT_NEAR(v[Size(row)], q[0], 1e-4);
  }
}

TEST(CriticValue, GradientEqualsDifferences) {
  const Judges j;
  const CriticValue value(j.policy, j.critics);
  std::vector<double> gradient(j.observations.size());
  value.Gradient(kRows, j.observations.data(), gradient.data());
  constexpr double kStep = 2e-2;
  for (const int row : {0, 63, 64, 149}) {
    for (int i = 0; i < kObservation; ++i) {
      const auto value_at = [&](double step) {
        const auto first = j.observations.begin() + row * kObservation;
        std::vector<double> moved(first, first + kObservation);
        moved[Size(i)] += step;
        double v = 0;
        value.Evaluate(1, moved.data(), &v);
        return v;
      };
      // Exact but for the fifth derivative, and for values of size 10 in float over steps of 0.02.
      const double difference = (8 * (value_at(kStep) - value_at(-kStep)) -
                                 (value_at(2 * kStep) - value_at(-2 * kStep))) /
                                (12 * kStep);
      EXPECT_NEAR(gradient[Size(row, kObservation) + Size(i)], difference,
                  2e-3 * (1 + std::abs(difference)))
          << row << ", " << i;
    }
  }
}

TEST(CriticValue, StaysWhatItWasWhenItWasMade) {
  Judges j;
  const CriticValue value(j.policy, j.critics);
  double before = 0;
  value.Evaluate(1, j.observations.data(), &before);
  j.policy.parameters()[0] += 1;
  j.critics.parameters(0)[0] += 1;
  double after = 0;
  value.Evaluate(1, j.observations.data(), &after);
  EXPECT_EQ(before, after);
}

TEST(CriticValue, ThreadsThatAskTogetherGetWhatOneGets) {
  const Judges j;
  const CriticValue value(j.policy, j.critics);
  std::vector<double> alone(kRows);
  value.Evaluate(kRows, j.observations.data(), alone.data());
  ThreadPool pool(3);
  std::vector<std::vector<double>> together(24, std::vector<double>(kRows));
  pool.ParallelFor(24, [&](int task, int /*worker*/) {
    value.Evaluate(kRows, j.observations.data(), together[Size(task)].data());
  });
  for (const std::vector<double>& values : together) EXPECT_EQ(values, alone);
}

TEST(CriticValue, OfARowWithANanIsNan) {
  const Judges j;
  const CriticValue value(j.policy, j.critics);
  std::vector<double> rows(j.observations.begin(), j.observations.begin() + 2 * kObservation);
  rows[1] = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> v(2);
  value.Evaluate(2, rows.data(), v.data());
  EXPECT_TRUE(std::isnan(v[0]));
  EXPECT_TRUE(std::isfinite(v[1]));
}

TEST(CriticValue, RefusesCriticsOfAnotherPolicy) {
  const Judges j;
  const CriticEnsemble others(kObservation, kAction + 1, {.critics = 1, .width = 4}, 2, Key{},
                              std::make_shared<SerialExecutor>());
  EXPECT_THROW(CriticValue(j.policy, others), InputError);
}

}  // namespace
}  // namespace foreplan

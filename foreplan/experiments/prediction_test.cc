// Errors of predictions against the same steps played one by one.
#include "foreplan/experiments/prediction.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/thread_pool.h"

namespace foreplan {
namespace {

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"angle", "rad"}, {"rate", "rad/s"}};
  spec.action = {{"torque", "Nm"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

/// Episodes of so many steps, of random numbers that follow each other.
Dataset Episodes(const std::vector<int>& lengths) {
  Dataset data(2, 1);
  Random random(Key{1, 1});
  int episode = 0;
  for (const int length : lengths) {
    ++episode;
    std::array<double, 2> here = {random.Normal(), random.Normal()};
    for (int step = 0; step < length; ++step) {
      const std::array<double, 2> next = {here[0] + 0.3 * random.Normal(), random.Normal()};
      data.Add(here, std::array<double, 1>{random.Uniform(-1, 1)}, next, episode);
      here = next;
    }
  }
  return data;
}

std::unique_ptr<LearnedModel> Model() {
  Config config =
      Config::FromString("[model]\nwidth = 8\nhidden_layers = 1\nmembers = 2\n", "test");
  return MakeLearnedModel(ModelSubject(Spec(), Encoding{.sin_cos = {"angle"}}), config, Key{2, 0},
                          std::make_shared<SerialExecutor>());
}

TEST(Prediction, ErrorsAreThoseOfStepsPlayedOneByOne) {
  const Dataset data = Episodes({6, 4, 200});  // more rows than are predicted together
  const auto model = Model();
  const std::shared_ptr<const Dynamics> dynamics = model->snapshot();
  const auto workspace = dynamics->MakeDerivativeWorkspace(1);
  const std::vector<int> horizons = {1, 3, 5};
  ThreadPool two(2);
  const std::vector<PredictionError> found = PredictionErrors(*model, data, horizons, two);
  ASSERT_EQ(found.size(), horizons.size());
  for (const PredictionError& error : found) {
    std::array<double, 2> squares = {};
    int starts = 0;
    for (int64_t row = 0; row + error.horizon <= data.size(); ++row) {
      const int64_t last = row + error.horizon - 1;
      if (data.episode(last) != data.episode(row)) continue;
      ++starts;
      std::vector<double> state(data.observation(row).begin(), data.observation(row).end());
      for (int64_t at = row; at <= last; ++at) {
        std::vector<double> next(2);
        dynamics->StepMean({.rows = 1,
                            .state = state.data(),
                            .action = data.action(at).data(),
                            .next_state = next.data(),
                            .next_observation = next.data(),
                            .key = {}},
                           *workspace);
        state = next;
      }
      for (size_t i = 0; i < 2; ++i) {
        const double miss = model->difference()(i, data.next_observation(last)[i], state[i]);
        squares[i] += miss * miss;
      }
    }
    EXPECT_EQ(error.starts, starts);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(error.error[i], std::sqrt(squares[i] / starts), 1e-5);  // networks are in float
    }
  }
}

TEST(Prediction, NoStartIsNoNumber) {
  const std::vector<int> horizons = {1, 9};
  SerialExecutor executor;
  const auto model = Model();
  const std::vector<PredictionError> found =
      PredictionErrors(*model, Episodes({3}), horizons, executor);
  EXPECT_EQ(found[0].starts, 3);
  EXPECT_EQ(found[1].starts, 0);
  EXPECT_TRUE(std::isnan(found[1].error[0]));
}

}  // namespace
}  // namespace foreplan

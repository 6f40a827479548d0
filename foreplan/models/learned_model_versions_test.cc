// Versions of learned models: what a fit publishes, and what one leaves that comes to no end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

const std::vector<double> kState = {0.1, 0.8, -0.4, 1.1};
const std::vector<double> kAction = {0.7};

class ModelVersions : public ::testing::TestWithParam<std::string> {
 protected:
  ModelVersions()
      : loaded_(Task::Load(
            "cartpole_closed_form",
            std::vector<std::string>{"model.kind=" + GetParam(),
                                     "model.physics.unknowns=['cart_mass = 5 in [0.5, 100]']",
                                     "model.members=3", "model.width=16", "fit.min_steps=40",
                                     "fit.max_steps=40", "encoding.inputs=['log(slider + 10)']"})),
        model_(MakeLearnedModel(loaded_.first, loaded_.second, Key{1, 0},
                                std::make_shared<ThreadPool>(2))) {}

  /// Transitions of the system with another cart; from `slider` on.
  [[nodiscard]] Dataset Rows(int rows, double slider = 0) const {
    const auto system = loaded_.first.MakeSystem();
    Dataset data(4, 1);
    Random random(Key{3, static_cast<uint64_t>(rows)});
    std::vector<double> next(4);
    for (int row = 0; row < rows; ++row) {
      const std::vector<double> state = {slider + random.Normal(), random.Normal(), random.Normal(),
                                         random.Normal()};
      const std::vector<double> action = {random.Uniform(-1, 1)};
      system->SetState(state);
      if (system->Step(action) != StepStatus::kOk) continue;
      system->GetState(next);
      for (double& value : next) value += 1e-3 * random.Normal();
      data.Add(state, action, next, row);
    }
    return data;
  }

  static std::vector<double> Predict(const Dynamics& dynamics) {
    std::vector<double> next(4);
    const auto workspace = dynamics.MakeWorkspace(1);
    dynamics.StepMean({.rows = 1,
                       .state = kState.data(),
                       .action = kAction.data(),
                       .next_state = next.data(),
                       .key = {}},
                      *workspace);
    return next;
  }
  [[nodiscard]] TensorFile Saved() const {
    TensorFile file;
    model_->Save(file);
    return file;
  }

  std::pair<Task, Config> loaded_;
  std::unique_ptr<LearnedModel> model_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ModelVersions, ::testing::Values("ensemble", "physics", "residual"),
                         [](const auto& info) { return info.param; });

TEST_P(ModelVersions, AFitPublishesAnotherAndLeavesTheOneBeforeAsItIs) {
  const std::shared_ptr<const Dynamics> first = model_->snapshot();
  const std::vector<double> guessed = Predict(*first);
  model_->Fit(Rows(60), Key{2, 0});
  const std::shared_ptr<const Dynamics> second = model_->snapshot();
  const std::vector<double> fitted = Predict(*second);
  EXPECT_NE(fitted, guessed);
  EXPECT_EQ(Predict(*first), guessed);
  model_->Fit(Rows(90), Key{2, 1});
  EXPECT_NE(Predict(*model_->snapshot()), fitted);
  EXPECT_EQ(Predict(*second), fitted);
  EXPECT_EQ(Predict(*first), guessed);
}

TEST_P(ModelVersions, PredictRowsTogetherAsOneByOne) {
  model_->Fit(Rows(60), Key{2, 0});
  const Dataset data = Rows(7);
  const int rows = static_cast<int>(data.size());
  std::vector<double> observations;
  std::vector<double> actions;
  for (int row = 0; row < rows; ++row) {
    observations.insert(observations.end(), data.observation(row).begin(),
                        data.observation(row).end());
    actions.push_back(data.action(row)[0]);
  }
  std::vector<double> mean(4 * data.size());
  std::vector<double> deviation(mean.size());
  const auto together = model_->MakePredictionWorkspace(rows);
  const auto alone = model_->MakePredictionWorkspace(1);
  for (int member = 0; member < model_->members(); ++member) {
    model_->Predict(member, rows, observations.data(), actions.data(), mean.data(),
                    deviation.data(), *together);
    for (int row = 0; row < rows; ++row) {
      double one_mean[4];
      double one_deviation[4];
      model_->Predict(member, 1, data.observation(row).data(), data.action(row).data(), one_mean,
                      one_deviation, *alone);
      for (size_t i = 0; i < 4; ++i) {
        const size_t place = 4 * static_cast<size_t>(row) + i;
        EXPECT_NEAR(mean[place], one_mean[i], 1e-5) << row;  // networks in float
        EXPECT_NEAR(deviation[place], one_deviation[i], 1e-5) << row;
      }
    }
  }
}

TEST_P(ModelVersions, OutliveTheirModel) {
  model_->Fit(Rows(60), Key{2, 0});
  const std::shared_ptr<const Dynamics> version = model_->snapshot();
  const std::vector<double> fitted = Predict(*version);
  model_.reset();
  EXPECT_EQ(Predict(*version), fitted);
}

TEST_P(ModelVersions, AStoppedFitPublishesNone) {
  model_->Fit(Rows(60), Key{2, 0});
  const auto before = model_->snapshot();
  const TensorFile saved = Saved();
  std::stop_source stop;
  double last = 0;
  const auto stop_soon = [&](double share, double /*loss*/) {
    last = share;
    stop.request_stop();
  };
  EXPECT_THROW(model_->Fit(Rows(90), Key{2, 1}, stop.get_token(), stop_soon), Interrupted);
  EXPECT_LT(last, 0.5);  // at once
  EXPECT_EQ(model_->snapshot(), before);
  EXPECT_TRUE(testing::SameTensors(saved, Saved()));
  EXPECT_EQ(saved.metadata, Saved().metadata);
}

TEST_P(ModelVersions, AFitWhoseProgressThrowsPublishesNone) {
  const auto before = model_->snapshot();
  const TensorFile saved = Saved();
  const auto refuse = [](double share, double /*loss*/) {
    if (share > 0.7) throw std::runtime_error("enough");
  };
  EXPECT_THROW(model_->Fit(Rows(60), Key{2, 0}, {}, refuse), std::runtime_error);
  EXPECT_EQ(model_->snapshot(), before);
  EXPECT_TRUE(testing::SameTensors(saved, Saved()));
}

TEST_P(ModelVersions, AFailedFitPublishesNone) {
  model_->Fit(Rows(60), Key{2, 0});
  const auto before = model_->snapshot();
  const TensorFile saved = Saved();
  // Networks see the logarithm of slider + 10; physics refuse an empty log.
  const Dataset bad = GetParam() == "physics" ? Dataset(4, 1) : Rows(60, -30);
  EXPECT_THROW(model_->Fit(bad, Key{2, 1}), Error);
  EXPECT_EQ(model_->snapshot(), before);
  EXPECT_TRUE(testing::SameTensors(saved, Saved()));
}

TEST_P(ModelVersions, ProgressGoesFromLittleToAll) {
  std::vector<double> shares;
  model_->Fit(Rows(60), Key{2, 0}, {}, [&](double share, double loss) {
    shares.push_back(share);
    EXPECT_TRUE(std::isfinite(loss));
  });
  ASSERT_GE(shares.size(), 3U);
  EXPECT_GT(shares.front(), 0);
  EXPECT_LT(shares.front(), 0.1);
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  EXPECT_EQ(shares.back(), 1);
}

TEST(ModelProgress, IsCompleteWhenMembersStopEarly) {
  FitOptions fit = testing::QuickFit(300);
  fit.holdout_share = 0.3;
  fit.learning_rate = 1e-2;
  fit.checks = 75;
  fit.patience = 3;
  EnsembleModel model(testing::ToySpec(), testing::kToyEncoding, testing::SmallOptions(), fit,
                      Key{1, 1}, std::make_shared<SerialExecutor>());
  double last = 0;
  const FitMetrics metrics = model.Fit(testing::ToyData(40, 1, 0.6), Key{1, 2}, {},
                                       [&](double share, double /*loss*/) { last = share; });
  ASSERT_LT(metrics[1].second, 300);  // steps
  EXPECT_EQ(last, 1);
}

TEST_P(ModelVersions, FollowingAFitChangesNoBit) {
  model_->Fit(Rows(60), Key{2, 0}, std::stop_source().get_token(), [](double, double) {});
  const TensorFile followed = Saved();
  const auto other = MakeLearnedModel(loaded_.first, loaded_.second, Key{1, 0},
                                      std::make_shared<SerialExecutor>());
  other->Fit(Rows(60), Key{2, 0});
  TensorFile alone;
  other->Save(alone);
  EXPECT_TRUE(testing::SameTensors(followed, alone));
}

TEST_P(ModelVersions, ARestoredModelPublishesWhatWasSaved) {
  model_->Fit(Rows(60), Key{2, 0});
  const std::vector<double> fitted = Predict(*model_->snapshot());
  const TensorFile saved = Saved();
  model_->Fit(Rows(90), Key{2, 1});
  const auto later = model_->snapshot();
  const std::vector<double> refitted = Predict(*later);
  model_->Restore(saved);
  EXPECT_EQ(Predict(*model_->snapshot()), fitted);
  EXPECT_EQ(Predict(*later), refitted);
}

}  // namespace
}  // namespace foreplan

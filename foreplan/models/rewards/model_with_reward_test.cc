#include "foreplan/models/rewards/model_with_reward.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const std::vector<double> kState = {0.1, 0.8, -0.4, 1.1};
const std::vector<double> kAction = {0.7};

class LearnedRewards : public ::testing::TestWithParam<std::string> {
 protected:
  LearnedRewards()
      : loaded_(Task::Load(
            "cartpole_closed_form",
            std::vector<std::string>{"planning_reward=learned", "model.kind=" + GetParam(),
                                     "model.physics.unknowns=['cart_mass = 5 in [0.5, 100]']",
                                     "model.members=2", "model.width=16", "fit.min_steps=40",
                                     "fit.max_steps=40", "model.reward.members=2",
                                     "model.reward.width=16", "model.reward.min_steps=40"})),
        model_(Make()) {}

  std::unique_ptr<LearnedModel> Make() {
    return MakeLearnedModel(loaded_.first, loaded_.second, Key{1, 0},
                            std::make_shared<ThreadPool>(2));
  }

  /// Transitions of another cart, paid what the task says, or nothing that is known.
  [[nodiscard]] Dataset Rows(int rows, bool paid = true) const {
    const auto system = loaded_.first.MakeSystem();
    Dataset data(4, 1);
    Random random(Key{3, static_cast<uint64_t>(rows)});
    std::vector<double> next(4);
    for (int row = 0; row < rows; ++row) {
      const std::vector<double> state = {random.Normal(), random.Normal(), random.Normal(),
                                         random.Normal()};
      const double action = random.Uniform(-1, 1);
      system->SetState(state);
      EXPECT_EQ(system->Step({&action, 1}), StepStatus::kOk);
      system->GetState(next);
      double reward = 0;
      uint8_t terminated = 0;
      loaded_.first.reward().Evaluate({.rows = 1,
                                       .observation = state.data(),
                                       .action = &action,
                                       .next_observation = next.data()},
                                      &reward, &terminated);
      data.Add({.observation = state,
                .action = {&action, 1},
                .next_observation = next,
                .episode = row,
                .reward = paid ? reward : kNan,
                .end = StepEnd::kTruncated});
    }
    return data;
  }

  /// Next state, then reward.
  static std::vector<double> Predict(const ModelVersion& version) {
    std::vector<double> predicted(5);
    const auto workspace = version.dynamics->MakeWorkspace(1);
    version.dynamics->StepMean({.rows = 1,
                                .state = kState.data(),
                                .action = kAction.data(),
                                .next_state = predicted.data(),
                                .key = {}},
                               *workspace);
    uint8_t terminated = 0;
    version.reward->Evaluate({.rows = 1,
                              .observation = kState.data(),
                              .action = kAction.data(),
                              .next_observation = predicted.data()},
                             &predicted[4], &terminated);
    return predicted;
  }
  static TensorFile Saved(const LearnedModel& model) {
    TensorFile file;
    model.Save(file);
    return file;
  }

  std::pair<Task, Config> loaded_;
  std::unique_ptr<LearnedModel> model_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, LearnedRewards,
                         ::testing::Values("ensemble", "physics", "residual"),
                         [](const auto& info) { return info.param; });

TEST_P(LearnedRewards, AreFittedAndPublishedWithTheMotion) {
  const ModelVersion first = model_->version();
  ASSERT_NE(first.reward, nullptr);
  EXPECT_EQ(Predict(first)[4], 0);
  const FitMetrics metrics = model_->Fit(Rows(60), Key{2, 0});
  const ModelVersion second = model_->version();
  EXPECT_NE(second.dynamics, first.dynamics);
  EXPECT_NE(second.reward, first.reward);
  EXPECT_NE(Predict(second)[4], 0);
  std::vector<std::string> names;
  for (const auto& [name, value] : metrics) names.push_back(name);
  for (const char* name : {"reward.training_loss", "reward.rmse", "termination.false"}) {
    EXPECT_EQ(std::ranges::count(names, name), 1) << name;
  }
  EXPECT_EQ(std::ranges::count(names, "termination.missed"), 0);  // there was none
}

TEST_P(LearnedRewards, TheMotionIsWhatItIsWithoutThem) {
  const auto motion = [&](const std::string& planning_reward) {
    auto [task, config] =
        Task::Load("cartpole_closed_form",
                   std::vector<std::string>{
                       "planning_reward=" + planning_reward, "model.kind=" + GetParam(),
                       "model.physics.unknowns=['cart_mass = 5 in [0.5, 100]']", "model.members=2",
                       "model.width=16", "fit.min_steps=40", "fit.max_steps=40"});
    const auto model =
        MakeLearnedModel(task, config, Key{1, 0}, std::make_shared<SerialExecutor>());
    model->Fit(Rows(60), Key{2, 0});
    TensorFile saved = Saved(*model);
    std::erase_if(saved.tensors,
                  [](const auto& tensor) { return tensor.first.starts_with("reward"); });
    return saved;
  };
  EXPECT_TRUE(testing::SameTensors(motion("learned"), motion("pets_cartpole")));
}

TEST_P(LearnedRewards, AFitThatStopsOrFailsLeavesBothAsTheyWere) {
  model_->Fit(Rows(60), Key{2, 0});
  const ModelVersion before = model_->version();
  const TensorFile saved = Saved(*model_);
  for (const double share : {0.0, 0.1, 0.5}) {  // in the reward's fit, and in that of the motion
    std::stop_source stop;
    const auto stop_there = [&](double done, double /*loss*/) {
      if (done > share) stop.request_stop();
    };
    EXPECT_THROW(model_->Fit(Rows(90), Key{2, 1}, stop.get_token(), stop_there), Interrupted);
  }
  EXPECT_THROW(model_->Fit(Rows(90, false), Key{2, 1}), InputError);
  EXPECT_EQ(model_->version().dynamics, before.dynamics);
  EXPECT_EQ(model_->version().reward, before.reward);
  EXPECT_TRUE(testing::SameTensors(saved, Saved(*model_)));
}

TEST_P(LearnedRewards, AreRestoredAndGoOnBitForBit) {
  model_->Fit(Rows(60), Key{2, 0});
  const auto other = Make();
  other->Restore(Saved(*model_));
  EXPECT_EQ(Predict(other->version()), Predict(model_->version()));
  model_->Fit(Rows(90), Key{2, 1});
  other->Fit(Rows(90), Key{2, 1});
  EXPECT_EQ(Predict(other->version()), Predict(model_->version()));
  EXPECT_TRUE(testing::SameTensors(Saved(*other), Saved(*model_)));
}

TEST_P(LearnedRewards, WhatOthersReadHasThem) {
  model_->Fit(Rows(60), Key{2, 0});
  TensorFile file;
  model_->SavePredictor(file);
  EXPECT_FALSE(file.tensors.contains("reward_trainer.first_moment"));
  const auto other = Make();
  other->RestorePredictor(file);
  EXPECT_EQ(Predict(other->version()), Predict(model_->version()));
}

TEST_P(LearnedRewards, AFileWithoutThemIsNamedAndChangesNothing) {
  model_->Fit(Rows(60), Key{2, 0});
  const TensorFile saved = Saved(*model_);
  TensorFile motion = Saved(*Make());
  motion.source = "model.safetensors";
  motion.tensors.erase("reward.parameters");
  const std::string expected =
      "model.safetensors: found a model without a learned reward, expected one with it, as the "
      "task's planning reward is learned";
  EXPECT_EQ(MessageOf([&] { model_->RestorePredictor(motion); }), expected);
  EXPECT_EQ(MessageOf([&] { model_->Restore(motion); }), expected);
  EXPECT_TRUE(testing::SameTensors(saved, Saved(*model_)));
}

TEST_P(LearnedRewards, ProgressGoesFromLittleToAll) {
  std::vector<double> shares;
  model_->Fit(Rows(60), Key{2, 0}, {},
              [&](double share, double /*loss*/) { shares.push_back(share); });
  ASSERT_GE(shares.size(), 3U);
  EXPECT_LT(shares.front(), 0.1);
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  EXPECT_EQ(shares.back(), 1);
}

}  // namespace
}  // namespace foreplan

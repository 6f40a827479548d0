#include "foreplan/models/rewards/model_with_reward.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace foreplan {
ModelWithReward::ModelWithReward(std::unique_ptr<LearnedModel> motion,
                                 std::shared_ptr<const LearnedReward> reward,
                                 std::shared_ptr<Executor> executor)
    : motion_(std::move(motion)), trainer_(std::move(reward), std::move(executor)) {
  PublishBoth();
}

void ModelWithReward::PublishBoth() noexcept {
  Publish(ModelVersion{motion_->snapshot(), trainer_.reward()});
}

FitMetrics ModelWithReward::FitVersion(const Dataset& data, Key key, const FitControl& control) {
  constexpr double kRewardShare = 0.2;  // of the work, about
  RewardTrainer::Result found =
      trainer_.Fit(data, key.Fold(kRewardStream), control.Part(0, kRewardShare));
  const FitControl rest = control.Part(kRewardShare, 1);
  FitMetrics metrics = motion_->Fit(data, key, rest.stop, rest.progress);
  metrics.emplace_back("reward.training_loss", found.training_loss);
  const FitMetrics errors = MetricsOf(found.held_out);
  metrics.insert(metrics.end(), errors.begin(), errors.end());
  // From here on nothing throws.
  trainer_.Take(std::move(found.state));
  PublishBoth();
  return metrics;
}

void ModelWithReward::Save(TensorFile& file) const {
  motion_->Save(file);
  trainer_.Save(file);
}

void ModelWithReward::Restore(const TensorFile& file) {
  RewardTrainer::State reward = trainer_.Read(file);
  motion_->Restore(file);
  trainer_.Take(std::move(reward));
  PublishBoth();
}

void ModelWithReward::SavePredictor(TensorFile& file) const {
  motion_->SavePredictor(file);
  trainer_.reward()->Save(file);
}

void ModelWithReward::RestorePredictor(const TensorFile& file) {
  RewardTrainer::State reward = trainer_.state();
  reward.reward = reward.reward->Restored(file);
  motion_->RestorePredictor(file);
  trainer_.Take(std::move(reward));
  PublishBoth();
}

nlohmann::ordered_json ModelWithReward::Describe() const { return motion_->Describe(); }

}  // namespace foreplan

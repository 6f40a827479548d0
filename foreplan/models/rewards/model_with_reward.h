// A learned model with the reward that is learned beside it.
#pragma once

#include <cstdint>
#include <memory>

#include "foreplan/core/executor.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/rewards/reward_trainer.h"

namespace foreplan {

/// Of a model's keys: what rewards draw, beside what the motion does.
inline constexpr uint64_t kRewardStream = 0x72657764;

/// Fits a model of the motion, of whatever kind, and rewards and terminations to the same data;
/// their versions are published together. When either fit fails, both are as they were.
class ModelWithReward final : public LearnedModel {
 public:
  ModelWithReward(std::unique_ptr<LearnedModel> motion, std::shared_ptr<const LearnedReward> reward,
                  std::shared_ptr<Executor> executor);

  [[nodiscard]] int members() const override { return motion_->members(); }
  [[nodiscard]] std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(
      int max_rows) const override {
    return motion_->MakePredictionWorkspace(max_rows);
  }
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace& workspace) const override {
    motion_->Predict(member, rows, observation, action, mean, deviation, workspace);
  }
  [[nodiscard]] bool noise_moves_state() const override { return motion_->noise_moves_state(); }
  [[nodiscard]] std::span<const double> scale() const override { return motion_->scale(); }
  [[nodiscard]] const ObservationDifference& difference() const override {
    return motion_->difference();
  }
  void Save(TensorFile& file) const override;
  void Restore(const TensorFile& file) override;
  void SavePredictor(TensorFile& file) const override;
  void RestorePredictor(const TensorFile& file) override;
  [[nodiscard]] nlohmann::ordered_json Describe() const override;

 private:
  FitMetrics FitVersion(const Dataset& data, Key key, const FitControl& control) override;
  void PublishBoth() noexcept;

  std::unique_ptr<LearnedModel> motion_;
  RewardTrainer trainer_;
};

}  // namespace foreplan

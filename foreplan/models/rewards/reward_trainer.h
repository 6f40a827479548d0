// Fits rewards and terminations to what steps earned and how they ended.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/fit_control.h"
#include "foreplan/models/rewards/learned_reward.h"
#include "foreplan/models/rewards/reward_error.h"

namespace foreplan {

/// Trains the networks of a LearnedReward by Adam on
///   mean over rows whose reward is known of
///     (1 - e) (y - (r - m_c) / s_c)^2 + e (w - (r - m_t) / s_t)^2
///   + mean over rows of -e log sigmoid(q) - (1 - e) log(1 - sigmoid(q))
/// where e = 1 for a step that terminated its episode, else 0.
/// Time limits and failures terminate nothing. As terminations are rare, a quarter of every batch
/// at least are rows that terminated, drawn from all of them in turn, so that a handful among
/// thousands is learned; where there are none, all rows are of the others. Members see the same
/// rows, in orders of their own.
///
/// Every tenth row is held out, counted among rows of its kind (terminated, or not): the same rows
/// at every fit, so that members, which go on from fit to fit with weights and moments, are judged
/// on rows they were never trained on. Members run in parallel; threads change no bit.
class RewardTrainer {
 public:
  /// Begins with `reward`.
  RewardTrainer(std::shared_ptr<const LearnedReward> reward, std::shared_ptr<Executor> executor);
  ~RewardTrainer();

  /// Where a trainer stands.
  struct State {
    std::shared_ptr<const LearnedReward> reward;
    std::vector<float> first_moment = {};   // Adam's: [members x parameters]
    std::vector<float> second_moment = {};  // [members x parameters]
    int64_t adam_steps = 0;
  };
  /// What a fit found.
  struct Result {
    State state = {};
    double training_loss = 0;  // mean over members and the last tenth of the steps
    RewardError held_out;
  };

  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const std::shared_ptr<const LearnedReward>& reward() const { return state_.reward; }
  /// Fits to all rows; the trainer stays where it is until it takes what was found. Throws
  /// InputError when no row that is trained on has a reward, RunError naming member, step and
  /// quantity when a loss is not finite, or expression and row of an input that is not, and
  /// Interrupted when asked to stop, which it looks at before every gradient step.
  [[nodiscard]] Result Fit(const Dataset& data, Key key, const FitControl& control = {});
  void Take(State state) noexcept { state_ = std::move(state); }

  /// Networks, and moments under names that start with "reward_trainer.".
  void Save(TensorFile& file) const;
  /// What was saved, to be taken. Throws InputError as LearnedReward::Restored, and for moments
  /// that are none.
  [[nodiscard]] State Read(const TensorFile& file) const;

 private:
  struct Buffers;
  struct Draft;

  [[nodiscard]] Draft Begin(const Dataset& data) const;
  void MeasureRows(Draft& draft) const;
  static Normaliser MeasureRewards(const Draft& draft);
  /// Mean loss of the last tenth of the steps.
  double TrainMember(int member, Key key, Draft& draft, const FitControl& control, FitMeter& meter,
                     Buffers& buffers) const;
  double TakeGradientStep(const Draft& draft, std::span<float> parameters, Buffers& buffers) const;
  void FillRows(const Draft& draft, Buffers& buffers) const;

  State state_;
  std::shared_ptr<Executor> executor_;
  std::vector<std::unique_ptr<Buffers>> buffers_;  // [workers]
};

}  // namespace foreplan

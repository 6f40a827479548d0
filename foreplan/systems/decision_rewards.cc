// Rewards of decisions that are held for several control periods.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "foreplan/systems/decisions.h"

namespace foreplan {
namespace {

/// Several times another's rewards, with its ends.
class ScaledReward final : public Reward {
 public:
  ScaledReward(std::shared_ptr<const Reward> reward, double factor, TransitionSizes sizes)
      : reward_(std::move(reward)),
        factor_(factor),
        variables_(static_cast<size_t>(2 * sizes.observation + sizes.action)) {}

  [[nodiscard]] std::optional<TransitionSizes> sizes() const override { return reward_->sizes(); }
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    reward_->Evaluate(batch, reward, terminated);
    Scale(reward, static_cast<size_t>(batch.rows));
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    reward_->Gradient(batch, gradient);
    Scale(gradient, static_cast<size_t>(batch.rows) * variables_);
  }
  double Expand(const double* observation, const double* action, const double* next_observation,
                double* gradient, double* hessian) const override {
    const double reward = reward_->Expand(observation, action, next_observation, gradient, hessian);
    return ScaleAll(reward, gradient, hessian, variables_);
  }
  double ExpandConcave(const double* observation, const double* action,
                       const double* next_observation, double* gradient, double* hessian,
                       int variables, double* scratch) const override {
    const double reward = reward_->ExpandConcave(observation, action, next_observation, gradient,
                                                 hessian, variables, scratch);
    return ScaleAll(reward, gradient, hessian, static_cast<size_t>(variables));
  }

 private:
  void Scale(double* values, size_t count) const {
    for (size_t i = 0; i < count; ++i) values[i] *= factor_;
  }
  double ScaleAll(double reward, double* gradient, double* hessian, size_t variables) const {
    Scale(gradient, variables);
    Scale(hessian, variables * variables);
    return factor_ * reward;
  }

  std::shared_ptr<const Reward> reward_;
  double factor_;
  size_t variables_;  // of a transition (o, u, o')
};

}  // namespace

std::shared_ptr<const Reward> OfPeriods(std::shared_ptr<const Reward> reward, int periods,
                                        TransitionSizes sizes) {
  if (reward == nullptr || periods == 1) return reward;
  return std::make_shared<const ScaledReward>(std::move(reward), periods, sizes);
}

}  // namespace foreplan

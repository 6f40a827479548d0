// Model-based reinforcement learning v2.0: a network policy trained by gradients through the model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "foreplan/learners/model_learner.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/policies/policy_gradient_trainer.h"
#include "foreplan/policies/policy_of_subject.h"

namespace foreplan {

/// Section [policy_backprop].
struct PolicyBackpropOptions {
  std::string base_policy = "uniform";
  int train_every = 0;       // new transitions before the next fit and training; 0: each episode
  int base_episodes = 1;     // episodes of the base policy before the first fit
  double reset_share = 0.5;  // of imagined rollouts that begin where episodes do; the rest begin
                             // at observations of the data
  bool true_model = false;   // train the policy through the true system, from its start states

  void Visit(OptionsVisitor& visitor);
};

/// The v2.0 loop (Heess et al. 2015; PILCO's loop, Deisenroth and Rasmussen 2011, with networks in
/// the place of Gaussian processes):
///   base policy -> repeat (fit the model; ascend the imagined return of pi_theta by its gradient
///   through the model; run pi_theta, add what happened to the data).
class PolicyBackpropLearner final : public ModelLearner {
 public:
  /// Needs no planner. Throws InputError for a reward without derivatives.
  PolicyBackpropLearner(const LearnerContext& context, const PolicyBackpropOptions& options,
                        const BackpropPolicyOptions& policy, const PolicyGradientOptions& training,
                        ModelLearnerParts parts);
  /// Reads sections policy_backprop (.policy, .training), environment, model and fit of `config`.
  PolicyBackpropLearner(Config& config, const LearnerContext& context);

  bool Step() override;
  /// The policy's mean action.
  Policy& controller() override { return controller_; }
  Policy* sampled_controller() override { return &policy_; }

  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state, Dataset rows) override;
  void CheckMayGoOn() const override;
  [[nodiscard]] TensorFile Model() const override;

 private:
  /// Beside the last training, on whatever there is when the run is over.
  [[nodiscard]] bool IsTrainingDue() const;
  /// Of the policy, which it was not trained on yet.
  [[nodiscard]] bool HasNewEpisodes() const;
  /// What rollouts are imagined with.
  [[nodiscard]] ModelVersion ImaginedModel() const;
  void TrainPolicy();
  void FindEpisodeStarts();
  void DrawEpisodeStart(Key key, std::span<double> start);
  void DrawStarts(Key key, std::span<double> starts);
  /// Return of the last episode over the imagined horizon, in the mean over where it can begin.
  [[nodiscard]] double RealisedReturn() const;
  void Report(const PolicyGradientReport& report, double seconds) const;

  PolicyBackpropOptions options_;
  PolicyGradientOptions training_;
  Key key_;
  std::unique_ptr<System> system_;            // gives start states; null: the data do
  std::vector<int64_t> episode_starts_;       // rows of the data; without a system
  std::shared_ptr<const TrueDynamics> true_;  // or null
  NetworkPolicy policy_;
  MeanPolicy controller_;
  PolicyGradientTrainer trainer_;
  int64_t searched_rows_ = 0;   // of the data, for episode_starts_
  int64_t trained_rows_ = 0;    // of the data, at the last training
  bool trained_early_ = false;  // the last training was due by the end of the run alone
};

}  // namespace foreplan

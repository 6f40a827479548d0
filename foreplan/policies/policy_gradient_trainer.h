// Trains network policies by the gradient of their imagined return.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/policies/imagined_return.h"
#include "foreplan/policies/network_policy.h"

namespace foreplan {

/// Section [policy_backprop.training].
struct PolicyGradientOptions {
  int horizon = 0;                  // imagined [steps]; 0: the episode
  int particles = 5;                // of a stochastic model
  int starts = 20;                  // rollouts per particle and gradient step
  int steps = 300;                  // gradient steps of one training
  double learning_rate = 3e-3;      // Adam's
  double final_rate = 0.1;          // of the learning rate, reached linearly at the last step
  double discount = 1;              // gamma
  double gradient_clip = 1;         // largest norm of a gradient; 0: none
  double adjoint_clip = 0;          // largest norm of a rollout's gradient by a state; 0: none
  bool stop_at_termination = true;  // else rewards count on where an episode would have ended
  int restarts = 0;                 // fresh policies that are tried against the present one
  int restart_steps = 100;          // gradient steps before they are compared
  int restart_trainings = 1;        // the first so many trainings try fresh policies
  int checks = 10;         // comparisons per training; the best weights are kept; 0: the last
  double doubt = 0;        // a training that gains less than so many times what the model is wrong
                           // about the policy's return changes nothing; 0: none is doubted
  bool gaussian = false;   // learns a deviation of the actions, else they are means
  double deviation = 0.2;  // its start [half ranges of the actions]
  double entropy = 0;      // weight of the entropy per step in what is maximised

  void Visit(OptionsVisitor& visitor);
};

/// What one training did.
struct PolicyGradientReport {
  double first_value = 0;    // imagined return before, on the starts of the checks
  double value = 0;          // and after
  double gradient_norm = 0;  // mean over the steps, before clipping
  double clipped_share = 0;  // of the steps
  int64_t steps = 0;
  int64_t invalid_gradients = 0;  // steps left out because their gradient was not finite
  double invalid_rollouts = 0;    // share that came to numbers that are not finite
  double ended_rollouts = 0;      // share that a termination cut short
  bool restarted = false;         // a fresh policy was better than the present one
  bool doubted = false;           // the gain was not believed: the policy is as it was
};

/// Ascends the imagined return by Adam, with the gradient clipped by its global norm. Weights go on
/// from training to training; Adam's moments begin anew with each, as the model is another.
class PolicyGradientTrainer {
 public:
  /// Whether the weights are compared after this step of `steps`: `checks` times, spread evenly,
  /// the last time after the last step; after every step when there are more checks than steps.
  [[nodiscard]] static bool IsCheckDue(int step, int steps, int checks);

  /// Fills rollouts' start states, [rollouts x state_dim].
  using DrawStarts = std::function<void(Key, std::span<double>)>;

  /// The policy must outlive the trainer. Throws InputError (options out of range).
  PolicyGradientTrainer(NetworkPolicy& policy, const std::shared_ptr<const Dynamics>& dynamics,
                        std::shared_ptr<const Reward> reward, const PolicyGradientOptions& options,
                        int episode_length, std::shared_ptr<Executor> executor);

  /// Trains through another version of the model from now on, see ImaginedReturn.
  void set_model(const ModelVersion& version) { imagined_.set_model(version); }

  /// `may_go_on` is asked before every gradient step; it may throw. `realised`: what the policy has
  /// really earned over the imagined horizon, where that is known (`doubt`). Throws RunError when
  /// no step had a finite gradient and when a deviation grows beyond all numbers.
  PolicyGradientReport Train(const DrawStarts& draw_starts, Key key,
                             const std::function<void()>& may_go_on,
                             std::optional<double> realised = {});

  [[nodiscard]] int trainings() const { return trainings_; }  // done

  /// What goes on from training to training besides the policy, under names that start with
  /// "policy_trainer.".
  void Save(TensorFile& file) const;
  void Restore(const TensorFile& file);

 private:
  struct Weights {
    std::vector<float> parameters;      // of the network
    std::vector<double> log_deviation;  // of the actions: [nu]
  };

  [[nodiscard]] Weights Get() const;
  void Set(const Weights& weights);
  /// `steps` gradient steps from the present weights, keeping the best; returns their value.
  double Ascend(int steps, const DrawStarts& draw_starts, Key key,
                const std::function<void()>& may_go_on, PolicyGradientReport& report);
  void TakeStep(int step, int steps, Key key, PolicyGradientReport& report);
  double Check();
  /// What the entropy of all steps adds to what is maximised.
  [[nodiscard]] double EntropyValue() const;

  NetworkPolicy& policy_;
  PolicyGradientOptions options_;
  ImaginedReturn imagined_;
  std::vector<double> starts_;        // [rollouts x state_dim]
  std::vector<double> check_starts_;  // of one training
  Key check_key_;
  std::vector<float> gradient_;      // by parameters, then log deviations
  std::vector<double> d_deviation_;  // [nu]
  std::vector<float> ascended_;      // parameters, then log deviations
  std::vector<float> first_moment_, second_moment_;
  std::vector<double> log_deviation_;  // of the actions: [nu]
  int trainings_ = 0;
};

}  // namespace foreplan

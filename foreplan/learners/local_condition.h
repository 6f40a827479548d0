// One condition of local models: what was seen, its local model, its policy and the step of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/control/local_rollout.h"
#include "foreplan/learners/local_cost.h"
#include "foreplan/learners/local_models_options.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/local_prior.h"
#include "foreplan/models/local/rollout_view.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/kl/kl_constrained_lqr.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

/// How much larger the next KL bound is: where the model is quadratically wrong in the step, the
/// step with the best actual improvement is predicted / (2 (predicted - actual)) of the last
/// (Levine, Finn et al. 2016, appendix A.3). Within [0.1, 5]; the multiplier within [0.01, 10].
[[nodiscard]] double NextStepMultiplier(double multiplier, double predicted, double actual);

struct LocalCondition {
  struct Sizes {
    int nx, nu;
    int horizon;   // T
    int rollouts;  // of an iteration
  };

  /// What one iteration found out.
  struct Improvement {
    double expected_cost = 0;       // J(policy that acted; its model)
    double predicted = 0;           // improvement of the last step, as its model had it
    double actual = 0;              // and as the new model has it
    bool judged = false;            // there was a last step
    bool taken_back = false;        // it did harm: this iteration starts where that one did
    double previous_fit_error = 0;  // rms of the last fit on these rollouts
    KlConstrainedResult step;
    double kl_bound = 0;
    int least_rank = 0;
    double largest_condition = 0;
  };

  /// What the fits and the costs read of the rollouts.
  struct Experience {
    // Of the last iterations, the newest last.
    std::vector<double> states;   // [N x (T + 1) x nx]
    std::vector<double> actions;  // [N x T x nu]
    // Of the newest iteration: Jacobians of dependent components, [rollouts x T x dependent x on].
    std::vector<double> jacobians;
  };

  /// A policy whose step was not taken back, and what was seen of it.
  struct Accepted {
    LinearGaussianPolicy policy;
    Experience seen;
    double cost = 0;  // mean over its rollouts
  };

  /// Number from 0; the policy and the prior are the caller's to set.
  LocalCondition(int number_, const Sizes& sizes_, const Reward& reward,
                 DependentComponents components, const LocalFitOptions& fit_options)
      : number(number_),
        sizes(sizes_),
        fitter(fit_options),
        cost(reward, sizes_.nx, sizes_.nu, std::move(components)),
        lqr(sizes_.nx, sizes_.nu, sizes_.horizon) {}

  /// The newest rollouts of what is read: of this iteration, or of the policy that it went back to.
  [[nodiscard]] RolloutView Fresh() const;
  /// Moves this iteration's rollouts to what is seen. Of the iterations before there remain as many
  /// as `reuse` leaves.
  void Keep(int reuse);
  /// Fits the dynamics to what is seen and finds what the policy before the step costs under them.
  /// setback: see LocalModelsOptions.
  void Judge(double setback);
  /// The KL-constrained step from `previous`. One that fails keeps the policy.
  void TakeStep(double kl_step, KlConstrainedOptions options);

  void Save(TensorFile& state) const;
  /// sampled: the next iteration's rollouts are kept; fitted: there was an iteration before. Throws
  /// InputError where the state does not fit the sizes.
  void Restore(const TensorFile& state, bool sampled, bool fitted);
  /// Of its tensors and metrics.
  [[nodiscard]] std::string Prefix() const;

  int number;
  Sizes sizes;
  LinearGaussianPolicy policy;
  LinearGaussianPolicy previous;  // what the step stays near: policy, or the global one linearised
  std::unique_ptr<LocalPrior> prior;
  LocalModelFitter fitter;
  LocalModelFit fit;  // T transitions; empty before the first
  LocalCost cost;
  std::vector<QuadraticCost> costs;    // [T]
  TrajectoryDistribution of_previous;  // `previous` under the fit
  KlConstrainedLqr lqr;
  std::vector<LocalRollout> rollouts;  // of this iteration, until they are kept
  Experience seen;
  double sampled_cost = 0;      // of this iteration: mean over its rollouts
  double sampled_distance = 0;  // from the goal where the last action is costed: the same
  double lambda = 1;            // of the last step
  double step_multiplier = 1;
  // Of the last step: expected cost before, and after as predicted.
  bool stepped = false;
  double cost_before = 0;
  double cost_predicted = 0;
  std::optional<Accepted> accepted;  // the last one; kept when steps can be taken back
  double first_cost = 0;             // of the first policy's rollouts
  Improvement found;

 private:
  void MeasureLastFit();
  void TakeBackIfWorse(double setback);
  void FitDynamics();
  void SaveFit(TensorFile& state) const;
  void RestoreFit(const TensorFile& state);
  [[nodiscard]] Experience RestoredExperience(const std::string& prefix,
                                              const TensorFile& state) const;
};

}  // namespace foreplan

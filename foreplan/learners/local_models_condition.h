// What LocalModelsLearner keeps of each condition; for its own files alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/control/local_rollout.h"
#include "foreplan/learners/local_cost.h"
#include "foreplan/learners/local_models.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/local_prior.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/kl/kl_constrained_lqr.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

/// What one iteration found out about one condition.
struct LocalModelsLearner::Improvement {
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

/// What the fits and the costs read of a condition's rollouts.
struct LocalModelsLearner::Experience {
  // Of the last iterations, the newest last.
  std::vector<double> states;   // [N x (T + 1) x nx]
  std::vector<double> actions;  // [N x T x nu]
  // Of the newest iteration: Jacobians of dependent components, [rollouts x T x dependent x on].
  std::vector<double> jacobians;

  struct Sizes {
    size_t states, actions, jacobians;  // numbers of one rollout
    size_t newest;                      // rollouts of the newest iteration
  };

  void Save(const std::string& prefix, TensorFile& state) const;
  /// Throws InputError where there are other numbers, or fewer rollouts than of one iteration; none
  /// at all is before the first.
  void Restore(const std::string& prefix, const TensorFile& state, const Sizes& sizes);
};

/// A policy whose step was not taken back, and what was seen of it.
struct LocalModelsLearner::Accepted {
  LinearGaussianPolicy policy;
  Experience seen;
  double cost = 0;  // mean over its rollouts
};

struct LocalModelsLearner::Condition {
  Condition(int nx, int nu, int horizon, const Reward& reward, DependentComponents components,
            const LocalFitOptions& fit_options)
      : fitter(fit_options), cost(reward, nx, nu, std::move(components)), lqr(nx, nu, horizon) {}

  int number = 0;  // from 0
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
};

}  // namespace foreplan

// Trains network policies by supervision.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/models/local/rollout_view.h"
#include "foreplan/nets/mlp.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/policies/network_policy.h"

namespace foreplan {

/// Section [policy.fit].
struct PolicyFitOptions {
  int steps = 8000;  // gradient steps of a fit
  int batch = 64;    // rows per step
  double learning_rate = 1e-3;
  double final_rate = 0.05;  // of the learning rate, reached linearly at the last step
  int nearby = 8;            // states around each one at which the teachers are asked as well

  void Visit(OptionsVisitor& visitor);
};

/// What a teacher does: at states, the actions it means and how much it minds others.
struct Supervision {
  std::vector<double> states;      // [rows x nx]
  std::vector<double> actions;     // [rows x nu], its means
  std::vector<double> precisions;  // [rows x nu x nu], inverse covariances

  void Clear();
  /// Appends the states 0 ... T - 1 of rollouts of a linear-Gaussian policy, its means there, and
  /// the inverses of its covariances. As a teacher can be asked anywhere, every state comes with
  /// `nearby` more around it, as far away as the rollouts spread at that time: without them a
  /// network's gains would be arbitrary in directions in which a few rollouts do not differ. Throws
  /// InputError for sizes that do not fit, RunError for a singular covariance (naming the step).
  void Add(const LinearGaussianPolicy& teacher, const RolloutView& rollouts, int nearby, Key key);
};

struct PolicyFitReport {
  int rows = 0;
  double loss = 0;  // 1/2 e'P e in the mean over rows, after the fit, P as in Fit
};

/// The supervised step of guided policy search (Montgomery and Levine 2016): minimises the
/// divergence of the policy from its teachers,
///   sum over rows of 1/2 (pi(x) - u)' P (pi(x) - u),   P = precision / mean(trace P / nu),
/// by Adam, from the weights as they are, and sets its covariance to the inverse of the mean
/// precision, which minimises the rest of the divergence.
class PolicyTrainer {
 public:
  /// The policy must outlive the trainer. Throws InputError (options out of range).
  PolicyTrainer(NetworkPolicy& policy, const PolicyFitOptions& options);

  /// Throws InputError for sizes that do not fit, RunError for numbers that are not finite, for
  /// precisions that are indefinite, and when the loss is not finite; the policy is then as it was.
  PolicyFitReport Fit(const Supervision& data, Key key);

  [[nodiscard]] const PolicyFitOptions& options() const { return options_; }

 private:
  void PrepareRows(const Supervision& data);
  PolicyFitReport Descend(Key key);
  double TakeGradientStep(int64_t step, double learning_rate, std::span<const int> batch);
  double Loss(std::span<const int> rows);

  NetworkPolicy& policy_;
  PolicyFitOptions options_;
  MlpGradient gradient_;
  std::vector<float> first_moment_, second_moment_, d_parameters_;
  std::vector<float> batch_input_;  // [batch x inputs]
  std::vector<float> d_output_;     // [batch x nu]
  std::vector<float> inputs_;       // [rows x inputs], normalised
  Eigen::MatrixXd actions_;         // [nu x rows]
  Eigen::MatrixXd precisions_;      // [nu x nu rows], scaled
};

}  // namespace foreplan

// Time-varying linear-Gaussian policies.
#pragma once

#include <Eigen/Core>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/policies/policy.h"

namespace foreplan {

/// One step of a linear-Gaussian policy in THE convention of this library:
///   u ~ N(action + feedforward + feedback (x - state), covariance)
/// Gains are never absolute: they stand beside the trajectory that they belong to.
struct LinearGaussianStep {
  Eigen::VectorXd action;       // u^_t: [nu]
  Eigen::VectorXd state;        // x^_t: [nx]
  Eigen::VectorXd feedforward;  // k_t: [nu]
  Eigen::MatrixXd feedback;     // K_t: [nu x nx]
  Eigen::MatrixXd covariance;   // Sigma_t: [nu x nu]; zero: deterministic
};

class LinearGaussianPolicy : public Policy {
 public:
  LinearGaussianPolicy() = default;
  /// Throws InputError for no steps, sizes that do not fit (naming step and field), and a
  /// covariance that is not symmetric and positive semidefinite.
  explicit LinearGaussianPolicy(std::vector<LinearGaussianStep> steps);

  [[nodiscard]] int horizon() const { return static_cast<int>(steps_.size()); }
  [[nodiscard]] const LinearGaussianStep& step(int t) const {
    return steps_[static_cast<size_t>(t)];
  }
  [[nodiscard]] const std::vector<LinearGaussianStep>& steps() const { return steps_; }

  /// Mean action at x: [nx].
  [[nodiscard]] Eigen::VectorXd Mean(int t, const Eigen::VectorXd& x) const;
  /// The absolute affine map u = offset + feedback x: offset = u^ + k - K x^.
  [[nodiscard]] Eigen::VectorXd Offset(int t) const;
  /// Mean plus L noise, L L' = Sigma_t; noise: [nu], N(0, I) for a sample.
  [[nodiscard]] Eigen::VectorXd MeanPlusNoise(int t, const Eigen::VectorXd& x,
                                              const Eigen::VectorXd& noise) const;
  /// L^-1 difference: the noise that leads that far from the mean; 0 along directions without
  /// noise.
  [[nodiscard]] Eigen::VectorXd InUnitsOfDeviation(int t, const Eigen::VectorXd& difference) const;
  [[nodiscard]] Eigen::VectorXd Sample(int t, const Eigen::VectorXd& x, Random& random) const;
  /// log N(u; mean, covariance); -infinity or +infinity for a singular covariance.
  [[nodiscard]] double LogProbability(int t, const Eigen::VectorXd& x,
                                      const Eigen::VectorXd& u) const;
  /// 1/2 log det(2 pi e Sigma_t); -infinity for a singular covariance.
  [[nodiscard]] double Entropy(int t) const;

  /// Every field of every step, as tensors whose names start with `prefix`; not the bounds.
  void Save(const std::string& prefix, TensorFile& file) const;
  /// The inverse, of so many steps. Throws InputError when tensors are
  /// missing, of another size, or hold what is no policy.
  [[nodiscard]] static LinearGaussianPolicy Restored(const std::string& prefix,
                                                     const TensorFile& file, int steps, int nx,
                                                     int nu);

  // Policy: acts on the first nx numbers of the observation; past the horizon the last step goes
  // on.
  /// Actions are clamped to these bounds: [nu] each; empty: none.
  void set_bounds(std::span<const double> low, std::span<const double> high);
  void Reset(Key /*key*/) override {}
  void Act(const Situation& situation, std::span<double> action) override;
  /// The mean action at x, [nx], clamped to the bounds: what Act does without noise.
  void ActMean(int t, std::span<const double> x, std::span<double> action) const;

 private:
  void Clamped(const Eigen::VectorXd& u, std::span<double> action) const;

  std::vector<LinearGaussianStep> steps_;
  std::vector<Eigen::MatrixXd> root_;  // L of Sigma = L L', [nu x nu]
  std::vector<double> low_, high_;
};

}  // namespace foreplan

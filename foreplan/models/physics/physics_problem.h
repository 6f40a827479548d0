// The least-squares problem that FitPhysics solves: residuals, their Gauss-Newton expansion, damped
// steps, and the noise of each component.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/data/dataset.h"
#include "foreplan/models/physics/physics_fit.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// Residuals are weighted by the noise of their component, which is estimated in turn. Under
/// measurement noise the true start of every stretch is unknown, too, and eliminated.
class PhysicsProblem {
 public:
  using MatrixXd = Eigen::MatrixXd;
  using VectorXd = Eigen::VectorXd;

  /// The weighted sum of squares around some values, starts eliminated.
  struct Expansion {
    double cost = 0;       // 1/2 sum of squares, priors included
    VectorXd gradient;     // [p]
    MatrixXd information;  // J'J of the data alone: [p x p]
  };

  PhysicsProblem(const SystemFamily& family, std::span<const Unknown> unknowns, const Dataset& data,
                 const PhysicsFitOptions& options);

  /// As it was made: starts where they were observed, the noise as large as it may be.
  void Reset();
  [[nodiscard]] const MatrixXd& starts() const { return starts_; }
  void set_starts(MatrixXd starts) { starts_ = std::move(starts); }

  /// 1/2 sum of squares at these values and starts; infinite where the system diverges.
  [[nodiscard]] double Cost(const VectorXd& values, const MatrixXd& starts) const;
  /// Around values and starts(), kept for Step; none where the system diverges nearby.
  std::optional<Expansion> Expand(const VectorXd& values);
  /// Of the expansion, the parameters' step with damping mu; starts_after receives the starts.
  [[nodiscard]] VectorXd Step(const Expansion& at, const VectorXd& values, double mu,
                              MatrixXd& starts_after) const;
  /// Length of the undamped step in standard errors: sqrt(g' H^-1 g), over the unknowns that no
  /// bound holds back; infinite where that is no square.
  [[nodiscard]] double StepInStandardErrors(const Expansion& at, const VectorXd& values) const;
  /// Of data and priors.
  [[nodiscard]] MatrixXd WithPriors(const MatrixXd& information) const;

  /// Of the residuals, per component: [no]; none where the system diverges.
  [[nodiscard]] std::optional<VectorXd> EstimateNoise(const VectorXd& values) const;
  /// Weighs residuals by this noise, but no component by more of it than most_noise().
  void set_noise(const VectorXd& noise);
  /// Standard deviation of each component in the data: [no].
  [[nodiscard]] const VectorXd& spread() const { return spread_; }
  /// What no equations at all would leave: that spread under measurement noise, that of the changes
  /// in one step under process noise: [no].
  [[nodiscard]] const VectorXd& trivial_noise() const { return trivial_noise_; }
  /// What rounding leaves of it, at the least: [no].
  [[nodiscard]] const VectorXd& least_noise() const { return least_noise_; }
  /// Above it the equations explain nothing; infinite for components that are constant: [no].
  [[nodiscard]] const VectorXd& most_noise() const { return most_noise_; }
  /// -log likelihood of data and priors, but for a constant: for comparing minima.
  [[nodiscard]] double NegativeLogLikelihood(const VectorXd& values, const VectorXd& noise) const;

 private:
  /// Consecutive rows of one episode: rows first ... first + steps - 1.
  struct Stretch {
    int64_t first = 0;
    int steps = 0;
    bool continues = false;  // starts where the one before ended ...
    bool continued = false;  // ... and so does the next
  };
  struct Linear {                 // of one stretch: residual r + A dtheta + B ds
    VectorXd r;                   // [m]
    MatrixXd A;                   // [m x p]
    MatrixXd B;                   // [m x no]
    Eigen::LLT<MatrixXd> starts;  // of B'B
  };

  static std::vector<Stretch> Cut(const Dataset& data, int longest);
  [[nodiscard]] bool free_starts() const { return options_.noise == NoiseModel::kMeasurement; }
  [[nodiscard]] Eigen::Index residuals(const Stretch& stretch) const {
    return no_ * (stretch.steps + (free_starts() ? 1 : 0));
  }
  void MeasureSpread();
  /// Observed minus predicted over the noise: [m]; false where the system diverges.
  bool Predict(System& system, const Stretch& stretch, const VectorXd& start, VectorXd& r) const;
  /// Fill linear_: residuals and B; A. False where the system diverges.
  bool LinearizeStarts(const VectorXd& values);
  bool LinearizeParameters(const VectorXd& values);
  /// -(H + mu diag(H))^-1 g over the unknowns that no bound holds back, 0 for the others.
  [[nodiscard]] VectorXd Direction(const Expansion& at, const VectorXd& values, double mu) const;
  [[nodiscard]] VectorXd PriorResidual(const VectorXd& values) const;
  [[nodiscard]] VectorXd Precisions() const;  // of the priors; 0: none
  /// Residuals per component less the parameters and starts that were fitted to them.
  [[nodiscard]] double DegreesOfFreedom() const;

  const SystemFamily& family_;
  std::span<const Unknown> unknowns_;
  const Dataset& data_;
  PhysicsFitOptions options_;
  Eigen::Index no_;
  Eigen::Index p_;
  std::vector<Stretch> stretches_;
  MatrixXd starts_;         // [no x stretches]
  VectorXd spread_;         // [no]
  VectorXd trivial_noise_;  // [no]
  VectorXd most_noise_;     // [no]
  VectorXd least_noise_;    // [no], rounding
  VectorXd noise_;          // [no], the weights
  std::vector<Linear> linear_;
};

}  // namespace foreplan

// A Gaussian mixture over all transitions seen so far, as prior of the local models.
#pragma once

#include <Eigen/Core>
#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/models/local/gaussian_mixture.h"
#include "foreplan/models/local/local_prior.h"

namespace foreplan {

/// How points are dealt out to the components of a new mixture.
enum class MixtureStart {
  kTime,    // a component per stretch of time
  kKMeans,  // k-means++
};

/// Section [local_models.mixture].
struct MixturePriorOptions {
  int max_components = 20;
  int min_points = 40;    // transitions per component; the count is clamped to 2 ... max_components
  int max_rollouts = 20;  // the newest are kept
  double strength = 1;    // factor on m, n0 and scatter
  MixtureStart start = MixtureStart::kTime;
  /// Few rounds bound the time of an iteration; the next one goes on where this stopped.
  MixtureOptions mixture = {.max_rounds = 3};

  void Visit(OptionsVisitor& visitor);
};

/// Prior of time t: the mixture's components, weighted by their mean share of the samples of t,
/// as one Gaussian (Levine and Abbeel 2014; Levine et al. 2016, appendix A.3).
///   m = 1,  n0 = max(0, (M - 2 - nz) / M) with M the points of the mixture,  scatter = 1
/// times the strength. While the number of components stays the same the fit goes on from the last.
class MixturePrior final : public LocalPrior {
 public:
  /// Throws InputError (options out of range, sizes below 1).
  MixturePrior(int nx, int nu, const MixturePriorOptions& options, Key key);

  void Learn(const RolloutView& fresh) override;
  void Prepare(const RolloutView& rollouts) override;
  void At(int t, NormalInverseWishart& prior) override;
  /// Mean and variances of all initial states kept, m = n0 = nx.
  [[nodiscard]] bool Initial(NormalInverseWishart& prior) const override;
  void Save(const std::string& prefix, TensorFile& file) const override;
  void Restore(const std::string& prefix, const TensorFile& file) override;

  [[nodiscard]] const GaussianMixture& mixture() const { return mixture_; }
  /// Of the last Learn.
  [[nodiscard]] const MixtureReport& report() const { return report_; }

 private:
  void Keep(const RolloutView& fresh);
  [[nodiscard]] int WantedComponents() const;
  [[nodiscard]] std::vector<int> FirstAssignment(int components) const;
  [[nodiscard]] int kept_rollouts() const;

  int nx_;
  int nu_;
  MixturePriorOptions options_;
  Key key_;
  int transitions_ = 0;         // T, of every rollout
  Eigen::MatrixXd points_;      // [nz x kept rollouts T], oldest rollout first
  double points_at_start_ = 0;  // M, points of the mixture when it was last started anew
  GaussianMixture mixture_;
  MixtureReport report_;
  SoftAssignment assignment_;  // of points_

  // Of Prepare.
  Eigen::MatrixXd near_;  // [nz x T N], all rollouts at time 0, then at time 1, ...
  SoftAssignment near_assignment_;
  int near_rollouts_ = 0;
  Eigen::VectorXd weights_;  // [K]
};

}  // namespace foreplan

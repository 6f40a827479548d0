// Mixtures of Gaussians by expectation maximisation.
#pragma once

#include <Eigen/Core>
#include <span>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"

namespace foreplan {

/// Fields of section [local_models.mixture].
struct MixtureOptions {
  double tolerance = 1e-5;         // stop when |change of ll| < tolerance |ll|
  int max_rounds = 100;            // E steps of a fit
  double covariance_floor = 1e-6;  // added to the variances of every component

  void Visit(OptionsVisitor& visitor);
};

struct MixtureComponent {
  double weight = 0;           // of all points; 0: the component is dead
  Eigen::VectorXd mean;        // [d]
  Eigen::MatrixXd covariance;  // [d x d], symmetric
};

/// What an E step found out about its points, and its memory.
struct SoftAssignment {
  Eigen::MatrixXd share;        // p(component k | point n): [K x N]; exactly 0 below e^-40
  std::vector<int> owner;       // [N], the likeliest component
  Eigen::VectorXd log_density;  // [N], log p(point)
  double log_likelihood = 0;    // sum of log_density

 private:
  friend class GaussianMixture;
  std::vector<int> guess;          // [N]
  std::vector<int> candidates;     // [tile]
  AlignedVector<double> centred;   // z - mu of the candidates: [tile x stride], row-major
  AlignedVector<double> distance;  // squared, as far as it is known: [tile]
  Eigen::VectorXd best;            // [N], largest log(weight density) so far
};

struct MixtureReport {
  bool converged = false;     // else stopped by max_rounds
  int rounds = 0;             // E steps
  int reseeded = 0;           // components that had died and were started anew
  double log_likelihood = 0;  // of the last E step
};

/// Gaussian mixture with full covariances. Points are columns: [d x N].
///
/// An E step evaluates each point's likeliest component of last time first. The squared distance to
/// any other component grows coordinate by coordinate; once it proves that the component's share is
/// below e^-40 of the best the rest is left out. As the shares left out are below rounding, results
/// do not depend on it. Allocates only when sizes change.
class GaussianMixture {
 public:
  /// Throws InputError (options out of range).
  explicit GaussianMixture(const MixtureOptions& options = {});

  [[nodiscard]] int components() const { return static_cast<int>(components_.size()); }
  [[nodiscard]] const MixtureComponent& component(int k) const {
    return components_[static_cast<size_t>(k)];
  }
  [[nodiscard]] int dim() const;  // d, 0 before the first start

  /// Equal weights; means and covariances of the points assigned to each component, twice the floor
  /// added. A component without points is started as a dying one is (Maximise).
  /// Throws RunError for points that are not finite (naming point and dimension) or so far apart
  /// that a covariance overflows, and InputError for assignments that are no component.
  void Start(const Eigen::Ref<const Eigen::MatrixXd>& points, std::span<const int> assignment,
             int components);
  /// Throws InputError for sizes that do not fit, and weights that are negative or all zero.
  void Set(std::vector<MixtureComponent> components);

  /// Shares of the points. `assignment.owner` may bring a guess per point, which changes no result;
  /// it is ignored if its size is not N.
  void Expect(const Eigen::Ref<const Eigen::MatrixXd>& points, SoftAssignment& assignment) const;
  /// Weights, means and covariances from the shares. A component with less than 1e-4 of its fair
  /// share of the points has died: once per fit it is started anew at the point explained worst,
  /// with the covariance of all points; of several, each at another point. Returns how many were.
  int Maximise(const Eigen::Ref<const Eigen::MatrixXd>& points, const SoftAssignment& assignment);
  /// E and M steps from the components as they are, until convergence or the limit of rounds.
  MixtureReport Fit(const Eigen::Ref<const Eigen::MatrixXd>& points, SoftAssignment& assignment);

  /// Mean and covariance of the mixture with these weights, which sum to 1: [K].
  void Moments(const Eigen::Ref<const Eigen::VectorXd>& weights, Eigen::VectorXd& mean,
               Eigen::MatrixXd& covariance) const;

 private:
  struct Factor {
    AlignedVector<double> whitening;  // L^-T of covariance = L L': [d x stride], row-major
    double log_scale = 0;             // log weight - 1/2 log det(2 pi covariance)
  };

  struct Member {
    int point = 0;
    double share = 0;
  };

  [[nodiscard]] double Mass() const;
  /// The point explained worst that is no other place of reseeds_; the worst of all if none is
  /// left.
  [[nodiscard]] Eigen::Index NextReseed(const Eigen::Ref<const Eigen::MatrixXd>& points,
                                        const SoftAssignment& assignment) const;
  void Resize(Eigen::Index dim, int components);
  void Estimate(int k, const Eigen::Ref<const Eigen::MatrixXd>& points);
  void Reseed(int k, const Eigen::Ref<const Eigen::MatrixXd>& points, Eigen::Index at);
  /// Factors the covariance, which it may have to inflate by rounding errors.
  void Decompose(int k);
  bool Invert(const Eigen::MatrixXd& covariance);
  /// log(weight density) of the first `count` candidates under component k, into the shares.
  void Evaluate(int k, const Eigen::Ref<const Eigen::MatrixXd>& points, int count, bool may_drop,
                SoftAssignment& assignment) const;
  /// From log(weight density) to shares.
  static void Normalise(SoftAssignment& assignment);

  MixtureOptions options_;
  std::vector<MixtureComponent> components_;  // [K]
  std::vector<Factor> factors_;               // [K]
  std::vector<char> was_reseeded_;            // [K], in this fit
  std::vector<Eigen::Index> reseeds_;         // points at which this M step starts components anew
  std::vector<Member> members_;               // of one component
  // Row-major, rows padded to whole vectors:
  AlignedVector<double> scaled_;            // points of a tile: [tile x stride]
  AlignedVector<double> scatter_;           // [d x stride]
  AlignedVector<double> root_;              // [U | U^-T], covariance = U'U: [d x 2 stride]
  AlignedVector<double> inverse_diagonal_;  // of U: [d]
};

}  // namespace foreplan

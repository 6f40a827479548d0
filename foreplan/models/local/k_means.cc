#include "foreplan/models/local/k_means.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

namespace foreplan {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Points = Eigen::Ref<const MatrixXd>;

void CheckPoints(const Points& points) {
  if (AllFinite(points)) return;
  for (Index n = 0; n < points.cols(); ++n) {
    for (Index i = 0; i < points.rows(); ++i) {
      if (std::isfinite(points(i, n))) continue;
      throw RunError(
          fmt::format("mixture: point {}, dimension {}: found {}, expected a finite number", n, i,
                      points(i, n)));
    }
  }
}

namespace {

/// Rows of mean 0 and deviation 1; constant rows stay 0.
MatrixXd Standardised(const Points& points) {
  MatrixXd scaled = points.colwise() - points.rowwise().mean();
  for (Index i = 0; i < points.rows(); ++i) {
    const double deviation =
        std::sqrt(scaled.row(i).squaredNorm() / static_cast<double>(points.cols()));
    if (deviation > 0) scaled.row(i) /= deviation;
  }
  return scaled;
}

/// Points and the centres that are nearest to them.
struct Clusters {
  Clusters(MatrixXd points_, int components)
      : points(std::move(points_)),
        centres(points.rows(), components),
        nearest(VectorXd::Constant(points.cols(), std::numeric_limits<double>::infinity())),
        assignment(static_cast<size_t>(points.cols()), 0) {}

  /// Assigns the points that are nearer to centre k than to theirs.
  void Offer(int k) {
    for (Index n = 0; n < points.cols(); ++n) {
      const double distance = (points.col(n) - centres.col(k)).squaredNorm();
      if (distance >= nearest[n]) continue;
      nearest[n] = distance;
      assignment[static_cast<size_t>(n)] = k;
    }
  }

  /// k-means++ (Arthur and Vassilvitskii 2007): a centre is drawn by squared distance to the
  /// nearest.
  void DrawCentres(Random& random) {
    const Index N = points.cols();
    auto chosen = static_cast<Index>(random.Below(static_cast<uint64_t>(N)));
    for (int k = 0; k < centres.cols(); ++k) {
      if (k > 0) {
        double left = random.Uniform() * nearest.sum();
        for (chosen = 0; chosen < N - 1 && left >= nearest[chosen]; ++chosen) {
          left -= nearest[chosen];
        }
      }
      centres.col(k) = points.col(chosen);
      Offer(k);
    }
  }

  /// Centres become the means of their points, one without any stays; then all points are assigned
  /// anew.
  void MoveCentres() {
    VectorXd count = VectorXd::Zero(centres.cols());
    const MatrixXd old = centres;
    centres.setZero();
    for (Index n = 0; n < points.cols(); ++n) {
      const int k = assignment[static_cast<size_t>(n)];
      centres.col(k) += points.col(n);
      count[k] += 1;
    }
    nearest.setConstant(std::numeric_limits<double>::infinity());
    for (int k = 0; k < centres.cols(); ++k) {
      if (count[k] > 0) {
        centres.col(k) /= count[k];
      } else {
        centres.col(k) = old.col(k);
      }
      Offer(k);
    }
  }

  MatrixXd points;   // [dim x N]
  MatrixXd centres;  // [dim x components]
  VectorXd nearest;  // squared distance to the centre: [N]
  std::vector<int> assignment;
};

}  // namespace

std::vector<int> AssignByKMeans(const Points& points, int components, Key key, int rounds) {
  CheckPoints(points);
  if (components < 1 || points.cols() < 1) {
    throw InputError(
        fmt::format("k-means: found {} components and {} points, expected at least 1 of each",
                    components, points.cols()));
  }
  Random random(key);
  Clusters clusters(Standardised(points), components);
  clusters.DrawCentres(random);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<int> before = clusters.assignment;
    clusters.MoveCentres();
    if (clusters.assignment == before) break;
  }
  return clusters.assignment;
}

}  // namespace foreplan

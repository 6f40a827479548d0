// Points shared out to the centres that are nearest to them.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {

// Points are columns: [d x N].

/// k-means++ seeding, then at most `rounds` of Lloyd's iterations, on coordinates scaled by their
/// deviation: [N] components. Throws RunError for points that are not finite.
[[nodiscard]] std::vector<int> AssignByKMeans(const Eigen::Ref<const Eigen::MatrixXd>& points,
                                              int components, Key key, int rounds = 10);

/// Throws RunError for points that are not finite, naming the first.
void CheckPoints(const Eigen::Ref<const Eigen::MatrixXd>& points);

}  // namespace foreplan

// Whether matrices are numbers throughout, and what keeps a NaN visible.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <span>

namespace foreplan {

/// No NaN and no infinity: those times 0 are NaN, and sums of products are vector code, which
/// Eigen's allFinite is not.
template <typename Derived>
[[nodiscard]] bool AllFinite(const Eigen::DenseBase<Derived>& values) {
  return (values.derived().array() * 0.0).sum() == 0.0;
}
[[nodiscard]] inline bool AllFinite(std::span<const double> values) {
  return AllFinite(Eigen::Map<const Eigen::ArrayXd>(values.data(), std::ssize(values)));
}

/// The larger, and NaN when one of them is: std::max(0.0, NaN) is 0, which hides that a number has
/// become meaningless.
[[nodiscard]] inline double MaxOrNan(double a, double b) { return std::isnan(a) || a > b ? a : b; }

/// For messages: a NaN may have a sign, which means nothing.
[[nodiscard]] inline double WithoutSignOfNan(double value) {
  return std::isnan(value) ? std::abs(value) : value;
}

}  // namespace foreplan

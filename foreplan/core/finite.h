// Whether matrices are numbers throughout.
#pragma once

#include <Eigen/Core>

namespace foreplan {

/// No NaN and no infinity: those times 0 are NaN, and sums of products are vector code, which
/// Eigen's allFinite is not.
template <typename Derived>
[[nodiscard]] bool AllFinite(const Eigen::DenseBase<Derived>& values) {
  return (values.derived().array() * 0.0).sum() == 0.0;
}

}  // namespace foreplan

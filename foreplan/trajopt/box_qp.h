// Box-constrained quadratic programs by projected Newton steps.
#pragma once

#include <span>
#include <vector>

#include "foreplan/core/aligned_vector.h"

namespace foreplan {

enum class BoxQpStatus {
  kSolved,          // the projected gradient is below the tolerance
  kIterationLimit,  // the best point so far, within the bounds
  kIndefinite,      // a free block of H is not positive definite, or H or q is not finite
  kEmptyBox,        // low > high in some component, or a bound is NaN
};

struct BoxQpResult {
  BoxQpStatus status = BoxQpStatus::kSolved;
  int iterations = 0;      // Newton steps
  int factorisations = 0;  // of free blocks
  double residual = 0;     // largest |x - clamp(x - gradient)|
};

/// min 1/2 x'Hx + q'x subject to low <= x <= high, for H positive definite on free blocks.
/// Projected Newton with an Armijo search along the projected path (Bertsekas 1982; Tassa, Mansard
/// and Todorov 2014). A few projected-gradient steps before the first factorisation find most of
/// the active bounds, so that only free blocks are ever factorised. Allocates only in the
/// constructor.
class BoxQp {
 public:
  explicit BoxQp(int max_size);

  /// x: [n] is where the search starts, and the solution. hessian: [n x stride], symmetric (both
  /// triangles).
  BoxQpResult Solve(int n, const double* hessian, int stride, const double* q, const double* low,
                    const double* high, double* x);

  // Of the last Solve:
  /// Indices of the components that are not held by a bound, ascending.
  [[nodiscard]] std::span<const int> free() const {
    return {free_.data(), static_cast<size_t>(free_count_)};
  }
  /// U of H_ff = U'U, rows of free components: [free x free_stride], and 1 / U(i, i): [free].
  [[nodiscard]] const double* factor() const { return factor_.data(); }
  [[nodiscard]] int factor_stride() const { return factor_stride_; }
  [[nodiscard]] const double* inverse_diagonal() const { return inverse_diagonal_.data(); }

  /// (H_ff)^-1: [free x stride], symmetric; stride is a multiple of 4 that holds free.
  void FreeInverse(double* inverse, int stride);

 private:
  void Gradient(int n, const double* hessian, int stride, const double* q, const double* x);
  bool UpdateFree(int n, const double* low, const double* high, const double* x);
  bool Factorise(const double* hessian, int stride);
  void NewtonDirection(int n);
  double Residual(int n, const double* low, const double* high, const double* x) const;
  void GradientSteps(int n, const double* hessian, int stride, const double* q, const double* low,
                     const double* high, double* x);
  bool Search(int n, const double* hessian, int stride, const double* low, const double* high,
              double* x);

  int factor_stride_;
  std::vector<int> free_, previous_free_;
  int free_count_ = 0;
  int previous_count_ = -1;
  AlignedVector<double> factor_, inverse_;  // [n x stride]
  AlignedVector<double> inverse_diagonal_;  // [n]
  AlignedVector<double> gradient_;          // [n]
  AlignedVector<double> direction_;         // [n]
  AlignedVector<double> trial_, product_;   // [n]
};

}  // namespace foreplan

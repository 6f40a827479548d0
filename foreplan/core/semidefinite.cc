#include "foreplan/core/semidefinite.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace foreplan {
namespace {

/// One Jacobi rotation that makes matrix(p, q) zero.
void Rotate(int n, int p, int q, double* matrix, double* vectors) {
  const double off = matrix[p * n + q];
  const double theta = (matrix[q * n + q] - matrix[p * n + p]) / (2 * off);
  const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
  const double c = 1 / std::sqrt(t * t + 1);
  const double s = t * c;
  for (int k = 0; k < n; ++k) {
    const double kp = matrix[k * n + p];
    const double kq = matrix[k * n + q];
    matrix[k * n + p] = c * kp - s * kq;
    matrix[k * n + q] = s * kp + c * kq;
  }
  for (int k = 0; k < n; ++k) {
    const double pk = matrix[p * n + k];
    const double qk = matrix[q * n + k];
    matrix[p * n + k] = c * pk - s * qk;
    matrix[q * n + k] = s * pk + c * qk;
  }
  for (int k = 0; k < n; ++k) {
    const double pk = vectors[p * n + k];  // row p holds eigenvector p
    const double qk = vectors[q * n + k];
    vectors[p * n + k] = c * pk - s * qk;
    vectors[q * n + k] = s * pk + c * qk;
  }
}

}  // namespace

void ProjectToPositiveSemidefinite(int n, double* matrix, double* vectors, double* scratch) {
  constexpr int kSweeps = 30;
  const auto size = static_cast<size_t>(n) * static_cast<size_t>(n);
  double largest = 0;
  bool finite = true;  // the maximum does not see a NaN
  for (size_t i = 0; i < size; ++i) {
    largest = std::max(largest, std::abs(matrix[i]));
    finite = finite && std::isfinite(matrix[i]);
  }
  if (largest == 0 || !finite) return;
  std::copy_n(matrix, size, scratch);
  std::fill_n(vectors, size, 0.0);
  for (int i = 0; i < n; ++i) vectors[i * n + i] = 1;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    bool rotated = false;
    for (int p = 0; p < n; ++p) {
      for (int q = p + 1; q < n; ++q) {
        if (std::abs(scratch[p * n + q]) <= 1e-15 * largest) continue;
        Rotate(n, p, q, scratch, vectors);
        rotated = true;
      }
    }
    if (!rotated) break;
  }
  // matrix -= lambda v v' for the negative ones.
  for (int k = 0; k < n; ++k) {
    const double lambda = scratch[k * n + k];
    if (lambda >= 0) continue;
    const double* v = vectors + k * n;
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) matrix[i * n + j] -= lambda * v[i] * v[j];
    }
  }
}

}  // namespace foreplan

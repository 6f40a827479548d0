#include "foreplan/trajopt/box_qp.h"

#include <algorithm>
#include <cmath>

#include "foreplan/core/finite.h"
#include "foreplan/core/row_kernels.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {
namespace {

constexpr int kMaxIterations = 100;
constexpr int kGradientSteps = 3;
constexpr double kTolerance = 1e-11;  // of the residual, relative to the gradient's scale
constexpr double kArmijo = 0.1;       // share of the expected decrease that must come true
constexpr double kShortestStep = 1e-10;

}  // namespace

BoxQp::BoxQp(int max_size)
    : factor_stride_(KnotLayout::Padded(max_size)),
      free_(static_cast<size_t>(max_size)),
      previous_free_(static_cast<size_t>(max_size)) {
  const auto rows = static_cast<size_t>(max_size);
  const auto stride = static_cast<size_t>(factor_stride_);
  factor_.resize(rows * stride);
  inverse_.resize(rows * stride);
  inverse_diagonal_.resize(stride);
  gradient_.resize(stride);
  direction_.resize(stride);
  trial_.resize(stride);
  product_.resize(stride);
}

BoxQpResult BoxQp::Solve(int n, const double* hessian, int stride, const double* q,
                         const double* low, const double* high, double* x) {
  BoxQpResult result;
  previous_count_ = -1;
  free_count_ = 0;
  for (int i = 0; i < n; ++i) {
    if (!(low[i] <= high[i])) {
      result.status = BoxQpStatus::kEmptyBox;
      return result;
    }
    x[i] = std::clamp(x[i], low[i], high[i]);
  }
  Gradient(n, hessian, stride, q, x);
  double scale = 1;
  for (int i = 0; i < n; ++i) scale = MaxOrNan(scale, std::abs(q[i]));
  if (!std::isfinite(scale)) {
    result.status = BoxQpStatus::kIndefinite;
    return result;
  }
  if (n > 2 && Residual(n, low, high, x) > kTolerance * scale) {
    GradientSteps(n, hessian, stride, q, low, high, x);
  }
  while (true) {
    const bool changed = UpdateFree(n, low, high, x);
    if (changed) {
      ++result.factorisations;
      if (!Factorise(hessian, stride)) {
        result.status = BoxQpStatus::kIndefinite;
        return result;
      }
    }
    result.residual = Residual(n, low, high, x);
    if (!std::isfinite(result.residual)) {
      result.status = BoxQpStatus::kIndefinite;
      return result;
    }
    if (result.residual <= kTolerance * scale) return result;
    if (result.iterations == kMaxIterations) break;
    ++result.iterations;
    NewtonDirection(n);
    if (!Search(n, hessian, stride, low, high, x)) break;
    Gradient(n, hessian, stride, q, x);
  }
  // The step is at the end of what double can resolve, or the limit is reached.
  if (result.residual > 1e-9 * scale) result.status = BoxQpStatus::kIterationLimit;
  return result;
}

// g = H x + q.
void BoxQp::Gradient(int n, const double* hessian, int stride, const double* q, const double* x) {
  double* g = gradient_.data();
  for (int i = 0; i < n; ++i) g[i] = q[i];
  for (int p = 0; p < n; ++p) {
    if (x[p] == 0) continue;
    const double factor = x[p];
    const double* row = hessian + p * stride;
    for (int i = 0; i < n; ++i) g[i] += factor * row[i];
  }
}

double BoxQp::Residual(int n, const double* low, const double* high, const double* x) const {
  const double* g = gradient_.data();
  double residual = 0;
  for (int i = 0; i < n; ++i) {
    const double step = std::abs(x[i] - std::clamp(x[i] - g[i], low[i], high[i]));
    if (std::isnan(step)) return step;
    residual = std::max(residual, step);
  }
  return residual;
}

// A component is held when it stands at a bound and its gradient pushes it there. True when the set
// differs from that of the last factorisation.
bool BoxQp::UpdateFree(int n, const double* low, const double* high, const double* x) {
  const double* g = gradient_.data();
  free_count_ = 0;
  for (int i = 0; i < n; ++i) {
    const bool held = (x[i] <= low[i] && g[i] > 0) || (x[i] >= high[i] && g[i] < 0);
    if (!held) free_[static_cast<size_t>(free_count_++)] = i;
  }
  const bool same = free_count_ == previous_count_ &&
                    std::equal(free_.begin(), free_.begin() + free_count_, previous_free_.begin());
  previous_count_ = free_count_;
  std::copy_n(free_.begin(), free_count_, previous_free_.begin());
  return !same;
}

bool BoxQp::Factorise(const double* hessian, int stride) {
  const int columns = KnotLayout::Padded(free_count_);
  for (int r = 0; r < free_count_; ++r) {
    const double* source = hessian + free_[static_cast<size_t>(r)] * stride;
    double* row = factor_.data() + r * factor_stride_;
    for (int j = 0; j < free_count_; ++j) row[j] = source[free_[static_cast<size_t>(j)]];
    for (int j = free_count_; j < columns; ++j) row[j] = 0;
  }
  return row_kernels::CholeskyRows(free_count_, columns, 0.0, factor_.data(), factor_stride_,
                                   inverse_diagonal_.data());
}

// d_f = -H_ff^-1 g_f, d = 0 where a bound holds.
void BoxQp::NewtonDirection(int n) {
  const double* U = factor_.data();
  double* y = product_.data();
  for (int r = 0; r < free_count_; ++r) y[r] = gradient_.data()[free_[static_cast<size_t>(r)]];
  for (int i = 0; i < free_count_; ++i) {
    y[i] *= inverse_diagonal_.data()[i];
    const double factor = y[i];
    const double* row = U + i * factor_stride_;
    for (int r = i + 1; r < free_count_; ++r) y[r] -= factor * row[r];
  }
  std::fill_n(direction_.data(), n, 0.0);
  for (int r = free_count_ - 1; r >= 0; --r) {
    const double* row = U + r * factor_stride_;
    double sum = y[r];
    for (int i = r + 1; i < free_count_; ++i) sum -= row[i] * y[i];
    y[r] = sum * inverse_diagonal_.data()[r];
    direction_.data()[free_[static_cast<size_t>(r)]] = -y[r];
  }
}

// Steepest descent along the projected path, each step with the exact length for the components
// that are free: cheap (two products with H), and they find most of the active bounds.
void BoxQp::GradientSteps(int n, const double* hessian, int stride, const double* q,
                          const double* low, const double* high, double* x) {
  double* d = direction_.data();
  double* Hd = product_.data();
  for (int step = 0; step < kGradientSteps; ++step) {
    const double* g = gradient_.data();
    double slope = 0;
    for (int i = 0; i < n; ++i) {
      const bool held = (x[i] <= low[i] && g[i] > 0) || (x[i] >= high[i] && g[i] < 0);
      d[i] = held ? 0 : -g[i];
      slope += d[i] * d[i];
    }
    for (int i = 0; i < n; ++i) Hd[i] = 0;
    for (int p = 0; p < n; ++p) {
      if (d[p] == 0) continue;
      const double factor = d[p];
      const double* row = hessian + p * stride;
      for (int i = 0; i < n; ++i) Hd[i] += factor * row[i];
    }
    double curvature = 0;
    for (int i = 0; i < n; ++i) curvature += d[i] * Hd[i];
    if (!(curvature > 0) || !(slope > 0)) return;
    const double length = slope / curvature;
    bool clamped = false;
    for (int i = 0; i < n; ++i) {
      const double moved = std::clamp(x[i] + length * d[i], low[i], high[i]);
      clamped = clamped || moved != x[i] + length * d[i];
      x[i] = moved;
    }
    if (clamped) {
      Gradient(n, hessian, stride, q, x);
    } else {  // g += length H d
      for (int i = 0; i < n; ++i) gradient_.data()[i] += length * Hd[i];
    }
  }
  Gradient(n, hessian, stride, q, x);
}

// x = clamp(x + alpha d) for the first alpha = 1, 1/2, ... that brings enough decrease.
bool BoxQp::Search(int n, const double* hessian, int stride, const double* low, const double* high,
                   double* x) {
  const double* g = gradient_.data();
  const double* d = direction_.data();
  double* step = trial_.data();
  for (double alpha = 1; alpha > kShortestStep; alpha *= 0.5) {
    double linear = 0;
    bool moves = false;
    for (int i = 0; i < n; ++i) {
      step[i] = std::clamp(x[i] + alpha * d[i], low[i], high[i]) - x[i];
      linear += g[i] * step[i];
      moves = moves || step[i] != 0;
    }
    if (!moves) return false;
    // f(x + s) - f(x) = g's + 1/2 s'Hs
    double quadratic = 0;
    for (int p = 0; p < n; ++p) {
      if (step[p] == 0) continue;
      const double* row = hessian + p * stride;
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += row[i] * step[i];
      quadratic += step[p] * sum;
    }
    // At the end of the double's resolution differences of f are rounding: the step is taken when
    // the model says that it descends.
    if (linear + 0.5 * quadratic <= kArmijo * linear) {
      for (int i = 0; i < n; ++i) {
        x[i] = std::clamp(x[i] + alpha * d[i], low[i], high[i]);
      }
      return true;
    }
  }
  return false;
}

void BoxQp::FreeInverse(double* inverse, int stride) {
  // H_ff^-1 = U^-1 U'^-1. Row r of X = U'^-1 starts as the unit vector; X is lower triangular.
  const double* U = factor_.data();
  const int n = free_count_;
  const int columns = KnotLayout::Padded(n);
  double* X = inverse_.data();
  for (int r = 0; r < n; ++r) {
    double* row = X + r * factor_stride_;
    std::fill_n(row, columns, 0.0);
    row[r] = 1;
    const int end = KnotLayout::Padded(r + 1);
    for (int i = 0; i < r; ++i) {
      const double factor = U[i * factor_stride_ + r];
      const double* above = X + i * factor_stride_;
      const int above_end = KnotLayout::Padded(i + 1);
      for (int j = 0; j < above_end; ++j) row[j] -= factor * above[j];
    }
    for (int j = 0; j < end; ++j) row[j] *= inverse_diagonal_.data()[r];
  }
  // H_ff^-1 = X'X, upper triangle; row p of X has entries up to column p only.
  for (int i = 0; i < n; i += 4) {
    const int rows = std::min(4, n - i);
    const row_kernels::View X_i{X + i * factor_stride_ + i, factor_stride_};
    row_kernels::MultiplyTransposed<row_kernels::Accumulate::kOverwrite>(
        rows, columns - i, n - i, X_i, X_i, {inverse, stride}, inverse + i * stride + i, stride,
        false);
  }
  row_kernels::MirrorUpper(n, stride, inverse);
}

}  // namespace foreplan

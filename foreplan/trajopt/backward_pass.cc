#include "foreplan/trajopt/backward_pass.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/row_kernels.h"
#include "foreplan/core/size.h"

namespace foreplan {
namespace {

using row_kernels::Accumulate;
using row_kernels::View;

/// Sizes that the compiler knows where they are fixed.
template <int FixedNx, int FixedNu>
struct Sizes {
  explicit Sizes(KnotLayout layout) : dynamic(layout) {}
  [[nodiscard]] constexpr KnotLayout layout() const {
    if constexpr (FixedNx > 0) return {FixedNx, FixedNu};
    return dynamic;
  }
  KnotLayout dynamic;
};

// Places of one knot's intermediate results.
struct Scratch {
  Scratch(KnotLayout l, double* at) {
    const auto take = [&at](int rows, int columns) {
      double* start = at;
      at += Size(rows, columns);
      return start;
    };
    w = take(l.nx, l.ldz());
    q_rows = take(l.nu, l.ldz());
    q_xx = take(l.nx, l.ldx());
    factor = take(l.nu, l.ldz());
    regularised = take(l.nu, l.ldz());
    mixed = take(l.nu, l.ldx());
    q = take(1, l.ldz());
    multiplier = take(1, l.ldx());
    inverse_diagonal = take(1, l.ldu());
    residual = take(1, l.ldu());
  }
  static size_t Total(KnotLayout l) {
    return Size(l.nx + 3 * l.nu + 1, l.ldz()) + Size(l.nx + l.nu + 1, l.ldx()) + Size(2, l.ldu());
  }
  double* w;                 // V'F: [nx x ldz]
  double* q_rows;            // [Quu | Qux]: [nu x ldz]
  double* q_xx;              // Qxx, upper: [nx x ldx]
  double* factor;            // [U | U'^-1 Qux], U'U = regularised Quu: [nu x ldz]
  double* regularised;       // [Quu | Qux] with regularisation, for box QPs: [nu x ldz]
  double* mixed;             // Quu K + 2 Qux: [nu x ldx]
  double* q;                 // (Qu | Qx): [ldz]
  double* multiplier;        // v' + V'c: [ldx]
  double* inverse_diagonal;  // [ldu]
  double* residual;          // Quu k + Qu: [ldu]
};

/// W = V'F, the multiplier v' + V'c of the dynamics, and Q_z = l_z + F'(v' + V'c).
template <typename Sizes>
[[gnu::always_inline]] inline void Gradient(const Sizes& sizes, const Knot& knot, const double* gap,
                                            const double* V, const double* v, const Scratch& s) {
  const int nx = sizes.layout().nx;
  const int ldx = sizes.layout().ldx();
  const int ldz = sizes.layout().ldz();
  const View F{knot.jacobian, ldz};
  row_kernels::MultiplyTransposed<Accumulate::kOverwrite>(nx, ldz, nx, {V, ldx}, F, {s.w, ldz}, s.w,
                                                          ldz, false);
  std::copy_n(v, ldx, s.multiplier);
  if (gap != nullptr) row_kernels::AddRows(nx, ldx, gap, {V, ldx}, s.multiplier);
  std::copy_n(knot.gradient, ldz, s.q);
  row_kernels::AddRows(nx, ldz, s.multiplier, F, s.q);
}

/// [Quu | Qux] = [luu | lux] + B'W, Qxx = lxx + A'W, upper triangle.
template <typename Sizes>
[[gnu::always_inline]] inline void Hessians(const Sizes& sizes, const Knot& knot,
                                            const Scratch& s) {
  const int nx = sizes.layout().nx;
  const int nu = sizes.layout().nu;
  const int ldx = sizes.layout().ldx();
  const int ldu = sizes.layout().ldu();
  const int ldz = sizes.layout().ldz();
  const View F{knot.jacobian, ldz};
  row_kernels::MultiplyTransposed<Accumulate::kAdd>(nu, ldz, nx, F, {s.w, ldz},
                                                    {knot.hessian_u, ldz}, s.q_rows, ldz, false);
  row_kernels::MultiplyTransposed<Accumulate::kAdd>(
      nx, ldx, nx, {F.data + ldu, ldz}, {s.w + ldu, ldz}, {knot.hessian_x, ldx}, s.q_xx, ldx, true);
}

[[gnu::always_inline]] inline bool RegularisesStates(const BackwardInput& input) {
  return input.regularisation == Regularisation::kStates && input.mu > 0;
}

/// What is added to the diagonal of Quu.
[[gnu::always_inline]] inline double Shift(const BackwardInput& input) {
  return RegularisesStates(input) ? 0.0 : input.mu;
}

/// U'U = Quu + regularisation; the same sweep turns Qux into Y = U'^-1 Qux. False where the sum is
/// not positive definite.
template <typename Sizes>
[[gnu::always_inline]] inline bool FactorAction(const Sizes& sizes, const BackwardInput& input,
                                                const Knot& knot, const Scratch& s) {
  const int nx = sizes.layout().nx;
  const int nu = sizes.layout().nu;
  const int ldz = sizes.layout().ldz();
  std::copy_n(s.q_rows, nu * ldz, s.factor);
  if (RegularisesStates(input)) {  // mu B'[B | A]
    const View F{knot.jacobian, ldz};
    row_kernels::MultiplyTransposed<Accumulate::kOverwrite>(nu, ldz, nx, F, F, {s.regularised, ldz},
                                                            s.regularised, ldz, false);
    for (int i = 0; i < nu * ldz; ++i) s.factor[i] += input.mu * s.regularised[i];
  }
  const double shift = Shift(input);
  if (input.low != nullptr) {
    std::copy_n(s.factor, nu * ldz, s.regularised);
    for (int i = 0; i < nu; ++i) s.regularised[i * ldz + i] += shift;
  }
  return row_kernels::CholeskyRows(nu, ldz, shift, s.factor, ldz, s.inverse_diagonal);
}

/// k = -U^-1 U'^-1 Qu.
template <typename Sizes>
[[gnu::always_inline]] inline void NewtonStep(const Sizes& sizes, const Scratch& s, double* k) {
  const int nu = sizes.layout().nu;
  const int ldz = sizes.layout().ldz();
  for (int r = 0; r < nu; ++r) {
    double sum = s.q[r];
    for (int i = 0; i < r; ++i) sum -= s.factor[i * ldz + r] * k[i];
    k[r] = sum * s.inverse_diagonal[r];
  }
  for (int r = nu - 1; r >= 0; --r) {
    double sum = k[r];
    for (int i = r + 1; i < nu; ++i) sum += s.factor[r * ldz + i] * k[i];
    k[r] = -sum * s.inverse_diagonal[r];
  }
}

/// Whether the action that k leads to is within its bounds, if it has some.
template <typename Sizes>
[[gnu::always_inline]] inline bool IsInside(const Sizes& sizes, const BackwardInput& input, int t,
                                            const double* k) {
  if (input.low == nullptr) return true;
  const int nu = sizes.layout().nu;
  const double* u = input.us + Size(t, nu);
  const double* low = input.low + Size(t, nu);
  const double* high = input.high + Size(t, nu);
  bool inside = true;
  for (int i = 0; i < nu; ++i) {
    inside = inside && u[i] + k[i] >= low[i] && u[i] + k[i] <= high[i];
  }
  return inside;
}

/// What the step k of one knot changes, by the quadratic model; residual = Quu k + Qu.
template <typename Sizes, typename Change>
[[gnu::always_inline]] inline void AddChange(const Sizes& sizes, const BackwardInput& input, int t,
                                             const double* k, const Scratch& s, Change& change) {
  const int nu = sizes.layout().nu;
  const int ldz = sizes.layout().ldz();
  for (int i = 0; i < nu; ++i) {
    double curved = 0;
    for (int j = 0; j < nu; ++j) curved += s.q_rows[i * ldz + j] * k[j];
    change.linear += k[i] * s.q[i];
    change.quadratic += k[i] * curved;
    s.residual[i] = curved + s.q[i];
    const size_t at = Size(t, nu) + Size(i);
    const bool held = input.low != nullptr && ((s.q[i] > 0 && input.us[at] <= input.low[at]) ||
                                               (s.q[i] < 0 && input.us[at] >= input.high[at]));
    if (!held) change.gradient = std::max(change.gradient, std::abs(s.q[i]));
  }
}

/// v = Qx + Qux'k + K'(Quu k + Qu), and V = Qxx + K'Quu K + K'Qux + Qux'K: on regularised states as
/// it is, else, with K = -(Quu + mu I)^-1 Qux on the free rows, as V = Qxx - Y'Y - mu K'K.
template <typename Sizes>
[[gnu::always_inline]] inline void UpdateValue(const Sizes& sizes, const BackwardInput& input,
                                               const double* k, const double* K, int free_rows,
                                               double* V, double* v, const Scratch& s) {
  const int nx = sizes.layout().nx;
  const int nu = sizes.layout().nu;
  const int ldx = sizes.layout().ldx();
  const int ldu = sizes.layout().ldu();
  const int ldz = sizes.layout().ldz();
  std::copy_n(s.q + ldu, ldx, v);
  row_kernels::AddRows(nu, ldx, k, {s.q_rows + ldu, ldz}, v);
  row_kernels::AddRows(nu, ldx, s.residual, {K, ldx}, v);
  if (RegularisesStates(input)) {
    // V = Qxx + (K'T + T'K) / 2, T = Quu K + 2 Qux.
    for (int i = 0; i < nu; ++i) {
      double* row = s.mixed + i * ldx;
      for (int j = 0; j < ldx; ++j) row[j] = s.q_rows[i * ldz + ldu + j];
      for (int p = 0; p < nu; ++p) {
        const double factor = 0.5 * s.q_rows[i * ldz + p];
        for (int j = 0; j < ldx; ++j) row[j] += factor * K[p * ldx + j];
      }
    }
    row_kernels::MultiplyTransposed<Accumulate::kAdd>(nx, ldx, nu, {K, ldx}, {s.mixed, ldx},
                                                      {s.q_xx, ldx}, V, ldx, true);
    row_kernels::MultiplyTransposed<Accumulate::kAdd>(nx, ldx, nu, {s.mixed, ldx}, {K, ldx},
                                                      {V, ldx}, V, ldx, true);
  } else {
    const View Y{s.factor + ldu, ldz};
    row_kernels::MultiplyTransposed<Accumulate::kSubtract>(nx, ldx, free_rows, Y, Y, {s.q_xx, ldx},
                                                           V, ldx, true);
    const double shift = Shift(input);
    if (shift > 0) {
      for (int i = 0; i < nu * ldx; ++i) s.mixed[i] = shift * K[i];
      row_kernels::MultiplyTransposed<Accumulate::kSubtract>(nx, ldx, nu, {s.mixed, ldx}, {K, ldx},
                                                             {V, ldx}, V, ldx, true);
    }
  }
  row_kernels::MirrorUpper(nx, ldx, V);
}

bool Finite(const double* values, int count) {
  return AllFinite(std::span(values, static_cast<size_t>(count)));
}

}  // namespace

BackwardPass::BackwardPass(KnotLayout layout, int horizon, bool bounded, bool keep_values)
    : layout_(layout),
      horizon_(horizon),
      keep_values_(keep_values),
      feedback_size_(Size(layout.nu, layout.ldx())),
      action_hessian_size_(Size(layout.nu, layout.ldu())),
      feedback_(Size(horizon, 1) * feedback_size_),
      feedforward_(Size(horizon, layout.ldu())),
      values_(Size(keep_values ? horizon + 1 : 1, 1) * layout.hessian_x_size()),
      value_gradients_(Size(keep_values ? horizon + 1 : 1, layout.ldx())),
      action_hessians_(keep_values ? Size(horizon, 1) * action_hessian_size_ : 0),
      scratch_(Scratch::Total(layout)),
      hessian_u_(layout.hessian_u_size()),
      hessian_x_(layout.hessian_x_size()) {
  if (bounded) {
    box_qp_ = std::make_unique<BoxQp>(layout.nu);
    box_low_.resize(static_cast<size_t>(layout.nu));
    box_high_.resize(static_cast<size_t>(layout.nu));
  }
  // Sizes of common small systems; all others share the general code.
  struct Entry {
    int nx, nu;
    BackwardStatus (BackwardPass::*run)(const BackwardInput&);
  };
  static constexpr std::array kSizes{
      Entry{2, 1, &BackwardPass::RunSized<2, 1>}, Entry{3, 1, &BackwardPass::RunSized<3, 1>},
      Entry{3, 2, &BackwardPass::RunSized<3, 2>}, Entry{4, 1, &BackwardPass::RunSized<4, 1>},
      Entry{6, 2, &BackwardPass::RunSized<6, 2>}, Entry{12, 4, &BackwardPass::RunSized<12, 4>},
  };
  run_ = &BackwardPass::RunSized<0, 0>;
  for (const Entry& entry : kSizes) {
    if (entry.nx == layout.nx && entry.nu == layout.nu) run_ = entry.run;
  }
}

BackwardStatus BackwardPass::Run(const BackwardInput& input) { return (this->*run_)(input); }

template <int FixedNx, int FixedNu>
BackwardStatus BackwardPass::RunSized(const BackwardInput& input) {
  const Sizes<FixedNx, FixedNu> sizes(layout_);
  const int nx = sizes.layout().nx;
  const int nu = sizes.layout().nu;
  const int ldx = sizes.layout().ldx();
  const int ldu = sizes.layout().ldu();
  const int ldz = sizes.layout().ldz();
  const Scratch s(sizes.layout(), scratch_.data());
  change_ = {};
  failed_knot_ = -1;

  const size_t value_step = keep_values_ ? sizes.layout().hessian_x_size() : 0;
  const size_t value_gradient_step = keep_values_ ? static_cast<size_t>(ldx) : 0;
  double* V = values_.data() + value_step * static_cast<size_t>(horizon_);
  double* v = value_gradients_.data() + value_gradient_step * static_cast<size_t>(horizon_);
  const Knot& terminal = input.knots[horizon_];
  std::copy_n(terminal.hessian_x, nx * ldx, V);
  std::copy_n(terminal.gradient + ldu, ldx, v);

  for (int t = horizon_ - 1; t >= 0; --t) {
    const Knot& knot = input.knots[t];
    double* K = feedback_.data() + Size(t) * feedback_size_;
    double* k = feedforward_.data() + Size(t, ldu);
    Gradient(sizes, knot, input.gaps != nullptr ? input.gaps + Size(t, ldx) : nullptr, V, v, s);
    Hessians(sizes, input.second_order != nullptr ? WithCurvature(input, t, s.multiplier) : knot,
             s);
    if (keep_values_) {
      double* kept = action_hessians_.data() + Size(t) * action_hessian_size_;
      for (int i = 0; i < nu; ++i) std::copy_n(s.q_rows + i * ldz, ldu, kept + i * ldu);
    }
    if (!FactorAction(sizes, input, knot, s)) {
      failed_knot_ = t;
      return Finite(s.q_rows, nu * ldz) ? BackwardStatus::kIndefinite : BackwardStatus::kNotFinite;
    }
    NewtonStep(sizes, s, k);
    int free_rows = nu;  // of Y
    if (IsInside(sizes, input, t, k)) {
      row_kernels::NegatedBackSubstitution(nu, ldx, {s.factor, ldz}, s.inverse_diagonal,
                                           {s.factor + ldu, ldz}, K, ldx);
    } else if (SolveBounded(input, t, k, K)) {
      free_rows = static_cast<int>(box_qp_->free().size());
    } else {
      failed_knot_ = t;
      return Finite(s.q_rows, nu * ldz) && Finite(s.q, nu) ? BackwardStatus::kIndefinite
                                                           : BackwardStatus::kNotFinite;
    }
    AddChange(sizes, input, t, k, s, change_);
    if (keep_values_) {
      V -= value_step;
      v -= value_gradient_step;
    }
    UpdateValue(sizes, input, k, K, free_rows, V, v, s);
  }
  // A number that is not finite spreads to Quu of the knot before; at knot 0 there is none before.
  const bool finite = std::isfinite(change_.linear) && std::isfinite(change_.quadratic) &&
                      Finite(V, nx * ldx) && Finite(v, ldx) && Finite(feedback_.data(), nu * ldx);
  if (!finite) failed_knot_ = 0;
  return finite ? BackwardStatus::kOk : BackwardStatus::kNotFinite;
}

// The knot with sum_i multiplier_i d^2 f_i / dz^2 added to its Hessians.
Knot BackwardPass::WithCurvature(const BackwardInput& input, int t, const double* multiplier) {
  const TrajectoryProblem& problem = *input.second_order;
  Knot knot = input.knots[t];
  std::copy_n(knot.hessian_u, layout_.hessian_u_size(), hessian_u_.data());
  std::copy_n(knot.hessian_x, layout_.hessian_x_size(), hessian_x_.data());
  knot.hessian_u = hessian_u_.data();
  knot.hessian_x = hessian_x_.data();
  problem.AddDynamicsHessian(t, input.xs + Size(t, problem.state_dim()),
                             input.us + Size(t, layout_.nu), multiplier, knot);
  return knot;
}

// k from the box QP around u_t; rows of K that a bound holds are 0. Leaves Y of the free rows in
// the factor's state columns.
bool BackwardPass::SolveBounded(const BackwardInput& input, int t, double* k, double* feedback) {
  const int nu = layout_.nu;
  const int ldx = layout_.ldx();
  const int ldz = layout_.ldz();
  const int ldu = layout_.ldu();
  const Scratch s(layout_, scratch_.data());
  const double* u = input.us + Size(t, nu);
  for (int i = 0; i < nu; ++i) {
    const auto at = static_cast<size_t>(i);
    box_low_[at] = input.low[Size(t, nu) + at] - u[i];
    box_high_[at] = input.high[Size(t, nu) + at] - u[i];
    k[i] = std::clamp(k[i], box_low_[at], box_high_[at]);
  }
  const BoxQpResult result =
      box_qp_->Solve(nu, s.regularised, ldz, s.q, box_low_.data(), box_high_.data(), k);
  if (result.status == BoxQpStatus::kIndefinite || result.status == BoxQpStatus::kEmptyBox) {
    return false;
  }
  const std::span<const int> free = box_qp_->free();
  const double* U = box_qp_->factor();
  const int stride = box_qp_->factor_stride();
  std::fill_n(feedback, nu * ldx, 0.0);
  // Y_f = U_f'^-1 Qux_f, then K_f = -U_f^-1 Y_f.
  for (size_t r = 0; r < free.size(); ++r) {
    double* y = s.factor + static_cast<int>(r) * ldz + ldu;
    std::copy_n(s.regularised + free[r] * ldz + ldu, ldx, y);
    for (size_t i = 0; i < r; ++i) {
      const double factor = U[i * static_cast<size_t>(stride) + r];
      const double* above = s.factor + static_cast<int>(i) * ldz + ldu;
      for (int j = 0; j < ldx; ++j) y[j] -= factor * above[j];
    }
    for (int j = 0; j < ldx; ++j) y[j] *= box_qp_->inverse_diagonal()[r];
  }
  for (size_t r = free.size(); r-- > 0;) {
    double* row = feedback + free[r] * ldx;
    std::copy_n(s.factor + static_cast<int>(r) * ldz + ldu, ldx, row);
    for (size_t i = r + 1; i < free.size(); ++i) {
      const double factor = U[r * static_cast<size_t>(stride) + i];
      for (int j = 0; j < ldx; ++j) row[j] += factor * feedback[free[i] * ldx + j];
    }
    for (int j = 0; j < ldx; ++j) row[j] *= -box_qp_->inverse_diagonal()[r];
  }
  return true;
}

Eigen::MatrixXd BackwardPass::InverseActionHessian(int t) const {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const int nu = layout_.nu;
  const Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>> Quu(
      action_hessian(t), nu, nu, Eigen::OuterStride<>(layout_.ldu()));
  const Eigen::LLT<Eigen::MatrixXd> factor(Quu);
  if (factor.info() != Eigen::Success) {
    throw RunError(fmt::format(
        "knot {}: found a cost to go without a minimum over actions, expected one: there is no "
        "covariance Quu^-1",
        t));
  }
  const Eigen::MatrixXd inverse = factor.solve(Eigen::MatrixXd::Identity(nu, nu));
  return 0.5 * (inverse + inverse.transpose());
}

}  // namespace foreplan

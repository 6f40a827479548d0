#include "foreplan/planners/backward_pass.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "foreplan/core/row_kernels.h"

namespace foreplan {
namespace {

using row_kernels::Accumulate;
using row_kernels::View;

size_t Count(int rows, int columns) {
  return static_cast<size_t>(rows) * static_cast<size_t>(columns);
}

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
      at += Count(rows, columns);
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
  static size_t Size(KnotLayout l) {
    return Count(l.nx + 3 * l.nu + 1, l.ldz()) + Count(l.nx + l.nu + 1, l.ldx()) +
           Count(2, l.ldu());
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

}  // namespace

BackwardPass::BackwardPass(KnotLayout layout, int horizon, bool bounded, bool keep_values)
    : layout_(layout),
      horizon_(horizon),
      keep_values_(keep_values),
      feedback_size_(Count(layout.nu, layout.ldx())),
      action_hessian_size_(Count(layout.nu, layout.ldu())),
      feedback_(Count(horizon, 1) * feedback_size_),
      feedforward_(Count(horizon, layout.ldu())),
      values_(Count(keep_values ? horizon + 1 : 1, 1) * layout.hessian_x_size()),
      value_gradients_(Count(keep_values ? horizon + 1 : 1, layout.ldx())),
      action_hessians_(keep_values ? Count(horizon, 1) * action_hessian_size_ : 0),
      scratch_(Scratch::Size(layout)),
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
  linear_ = quadratic_ = gradient_ = 0;
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
    const View F{knot.jacobian, ldz};
    double* K = feedback_.data() + static_cast<size_t>(t) * feedback_size_;
    double* k = feedforward_.data() + static_cast<size_t>(t) * static_cast<size_t>(ldu);

    // W = V'F, and the multiplier v' + V'c of the dynamics.
    row_kernels::MultiplyTransposed<Accumulate::kOverwrite>(nx, ldz, nx, {V, ldx}, F, {s.w, ldz},
                                                            s.w, ldz, false);
    std::copy_n(v, ldx, s.multiplier);
    if (input.gaps != nullptr) {
      row_kernels::AddRows(nx, ldx, input.gaps + static_cast<size_t>(t) * static_cast<size_t>(ldx),
                           {V, ldx}, s.multiplier);
    }

    // Q_z = l_z + F'(v' + V'c); [Quu | Qux] = [luu | lux] + B'W; Qxx = lxx + A'W, upper triangle.
    std::copy_n(knot.gradient, ldz, s.q);
    row_kernels::AddRows(nx, ldz, s.multiplier, F, s.q);
    const double* hessian_u = knot.hessian_u;
    const double* hessian_x = knot.hessian_x;
    if (input.second_order != nullptr) {
      std::copy_n(hessian_u, sizes.layout().hessian_u_size(), hessian_u_.data());
      std::copy_n(hessian_x, sizes.layout().hessian_x_size(), hessian_x_.data());
      hessian_u = hessian_u_.data();
      hessian_x = hessian_x_.data();
      input.second_order->AddDynamicsHessian(
          t, input.xs + Count(t, input.second_order->state_dim()), input.us + Count(t, nu),
          s.multiplier, {knot.jacobian, hessian_u_.data(), hessian_x_.data(), knot.gradient});
    }
    row_kernels::MultiplyTransposed<Accumulate::kAdd>(nu, ldz, nx, F, {s.w, ldz}, {hessian_u, ldz},
                                                      s.q_rows, ldz, false);
    row_kernels::MultiplyTransposed<Accumulate::kAdd>(
        nx, ldx, nx, {F.data + ldu, ldz}, {s.w + ldu, ldz}, {hessian_x, ldx}, s.q_xx, ldx, true);
    if (keep_values_) {
      double* kept = action_hessians_.data() + static_cast<size_t>(t) * action_hessian_size_;
      for (int i = 0; i < nu; ++i) std::copy_n(s.q_rows + i * ldz, ldu, kept + i * ldu);
    }

    // U'U = Quu + regularisation; the same sweep turns Qux into Y = U'^-1 Qux.
    std::copy_n(s.q_rows, nu * ldz, s.factor);
    const bool on_states = input.regularisation == Regularisation::kStates && input.mu > 0;
    const double shift = on_states ? 0.0 : input.mu;
    if (on_states) {
      row_kernels::MultiplyTransposed<Accumulate::kOverwrite>(
          nu, ldz, nx, F, F, {s.regularised, ldz}, s.regularised, ldz, false);
      for (int i = 0; i < nu * ldz; ++i) s.factor[i] += input.mu * s.regularised[i];
    }
    if (input.low != nullptr) {
      std::copy_n(s.factor, nu * ldz, s.regularised);
      for (int i = 0; i < nu; ++i) s.regularised[i * ldz + i] += shift;
    }
    if (!row_kernels::CholeskyRows(nu, ldz, shift, s.factor, ldz, s.inverse_diagonal)) {
      failed_knot_ = t;
      for (int i = 0; i < nu * ldz; ++i) {
        if (!std::isfinite(s.q_rows[i])) return BackwardStatus::kNotFinite;
      }
      return BackwardStatus::kIndefinite;
    }

    // k = -U^-1 U'^-1 Qu.
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

    int gain_rows = nu;  // rows of Y
    bool inside = true;
    if (input.low != nullptr) {
      const double* u = input.us + Count(t, nu);
      const double* low = input.low + Count(t, nu);
      const double* high = input.high + Count(t, nu);
      for (int i = 0; i < nu; ++i) {
        inside = inside && u[i] + k[i] >= low[i] && u[i] + k[i] <= high[i];
      }
    }
    if (inside) {
      row_kernels::NegatedBackSubstitution(nu, ldx, {s.factor, ldz}, s.inverse_diagonal,
                                           {s.factor + ldu, ldz}, K, ldx);
    } else {
      if (!SolveBounded(input, t, k, K)) {
        failed_knot_ = t;
        return BackwardStatus::kIndefinite;
      }
      gain_rows = static_cast<int>(box_qp_->free().size());
    }

    // Expected change, and Quu k + Qu.
    for (int i = 0; i < nu; ++i) {
      double curved = 0;
      for (int j = 0; j < nu; ++j) curved += s.q_rows[i * ldz + j] * k[j];
      linear_ += k[i] * s.q[i];
      quadratic_ += k[i] * curved;
      s.residual[i] = curved + s.q[i];
      const size_t at = Count(t, nu) + static_cast<size_t>(i);
      const bool held = input.low != nullptr && ((s.q[i] > 0 && input.us[at] <= input.low[at]) ||
                                                 (s.q[i] < 0 && input.us[at] >= input.high[at]));
      if (!held) gradient_ = std::max(gradient_, std::abs(s.q[i]));
    }

    // v = Qx + Qux'k + K'(Quu k + Qu).
    if (keep_values_) {
      V -= value_step;
      v -= value_gradient_step;
    }
    std::copy_n(s.q + ldu, ldx, v);
    row_kernels::AddRows(nu, ldx, k, {s.q_rows + ldu, ldz}, v);
    row_kernels::AddRows(nu, ldx, s.residual, {K, ldx}, v);

    if (on_states) {
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
      // With K = -(Quu + mu I)^-1 Qux on the free rows: V = Qxx - Y'Y - mu K'K.
      row_kernels::MultiplyTransposed<Accumulate::kSubtract>(
          nx, ldx, gain_rows, {s.factor + ldu, ldz}, {s.factor + ldu, ldz}, {s.q_xx, ldx}, V, ldx,
          true);
      if (shift > 0) {
        for (int i = 0; i < nu * ldx; ++i) s.mixed[i] = shift * K[i];
        row_kernels::MultiplyTransposed<Accumulate::kSubtract>(nx, ldx, nu, {s.mixed, ldx},
                                                               {K, ldx}, {V, ldx}, V, ldx, true);
      }
    }
    row_kernels::MirrorUpper(nx, ldx, V);
  }
  const bool finite = std::isfinite(linear_) && std::isfinite(quadratic_);
  return finite ? BackwardStatus::kOk : BackwardStatus::kNotFinite;
}

// k from the box QP around u_t; rows of K that a bound holds are 0. Leaves Y of the free rows in
// the factor's state columns.
bool BackwardPass::SolveBounded(const BackwardInput& input, int t, double* k, double* feedback) {
  const int nu = layout_.nu;
  const int ldx = layout_.ldx();
  const int ldz = layout_.ldz();
  const int ldu = layout_.ldu();
  const Scratch s(layout_, scratch_.data());
  const double* u = input.us + Count(t, nu);
  for (int i = 0; i < nu; ++i) {
    const auto at = static_cast<size_t>(i);
    box_low_[at] = input.low[Count(t, nu) + at] - u[i];
    box_high_[at] = input.high[Count(t, nu) + at] - u[i];
    k[i] = std::clamp(k[i], box_low_[at], box_high_[at]);
  }
  const BoxQpResult result =
      box_qp_->Solve(nu, s.regularised, ldz, 0.0, s.q, box_low_.data(), box_high_.data(), k);
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

}  // namespace foreplan

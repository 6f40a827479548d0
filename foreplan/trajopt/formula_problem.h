// Trajectory problems given by formulas that are templates on the scalar type.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/dual.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

/// A formula has kStateDim, kActionDim, `int horizon`, `std::vector<double> low, high` (empty: no
/// bounds) and
///   void Step(int t, const T* x, const T* u, T* next)
/// and a cost, either of residuals (Gauss-Newton Hessian, never indefinite), cost 1/2 sum r^2,
///   kStageResiduals, void StageResidual(int t, const T* x, const T* u, T* r)
///   kTerminalResiduals, void TerminalResidual(const T* x, T* r)
/// or general (exact Hessian),
///   T StageCost(int t, const T* x, const T* u), T TerminalCost(const T* x).
/// T is double or a Dual. A formula in a hurry may also bring its own code for what is otherwise
/// derived: StepAndCost, BindConstants, ExpandStep, ExpandStage, ExpandEnd, AddHessian.
template <typename Formula>
class FormulaProblem final : public TrajectoryProblem {
 public:
  static constexpr int kNx = Formula::kStateDim;
  static constexpr int kNu = Formula::kActionDim;
  static constexpr int kNz = kNx + kNu;
  static constexpr KnotLayout kLayout{kNx, kNu};
  using View = KnotView<kNx, kNu>;

  explicit FormulaProblem(Formula formula) : formula_(std::move(formula)) {}

  [[nodiscard]] const Formula& formula() const { return formula_; }
  [[nodiscard]] int horizon() const override { return formula_.horizon; }
  [[nodiscard]] int state_dim() const override { return kNx; }
  [[nodiscard]] int action_dim() const override { return kNu; }
  [[nodiscard]] std::span<const double> action_low() const override { return formula_.low; }
  [[nodiscard]] std::span<const double> action_high() const override { return formula_.high; }
  [[nodiscard]] bool has_second_derivatives() const override { return true; }

  void Bind(int /*t*/, Knot& knot) const override {
    if constexpr (requires(View view) { formula_.BindConstants(view); }) {
      formula_.BindConstants(View(knot, kLayout));
    }
  }

  double Step(int t, const double* x, const double* u, double* next,
              Workspace& /*workspace*/) const override {
    if constexpr (requires { formula_.StepAndCost(t, x, u, next); }) {
      return formula_.StepAndCost(t, x, u, next);
    } else {
      formula_.Step(t, x, u, next);
      return StageCost(t, x, u);
    }
  }

  double TerminalCost(const double* x, Workspace& /*workspace*/) const override {
    if constexpr (requires { Formula::kTerminalResiduals; }) {
      std::array<double, Formula::kTerminalResiduals> r;
      formula_.TerminalResidual(x, r.data());
      return HalfSquares(r);
    } else {
      return formula_.TerminalCost(x);
    }
  }

  void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
              Workspace& /*workspace*/) const override {
    for (int t = first; t < last; ++t) {
      const View view(knots[t], kLayout);
      const double* x = xs + t * kNx;
      const double* u = us + t * kNu;
      if constexpr (requires { formula_.ExpandStep(t, x, u, view); }) {
        formula_.ExpandStep(t, x, u, view);
      } else {
        DualStep(t, x, u, view);
      }
      if constexpr (requires { formula_.ExpandStage(t, x, u, view); }) {
        formula_.ExpandStage(t, x, u, view);
      } else {
        DualStage(t, x, u, view);
      }
    }
  }

  void ExpandTerminal(const double* x, const Knot& knot, Workspace& /*workspace*/) const override {
    const View view(knot, kLayout);
    if constexpr (requires { formula_.ExpandEnd(x, view); }) {
      formula_.ExpandEnd(x, view);
    } else {
      DualTerminal(x, view);
    }
  }

  void AddDynamicsHessian(int t, const double* x, const double* u, const double* multiplier,
                          const Knot& knot) const override {
    const View view(knot, kLayout);
    if constexpr (requires { formula_.AddHessian(t, x, u, multiplier, view); }) {
      formula_.AddHessian(t, x, u, multiplier, view);
    } else {
      using T = SecondDual<kNz>;
      std::array<T, kNz> z = Variables<T>(x, u);
      std::array<T, kNx> next;
      formula_.Step(t, z.data() + kNu, z.data(), next.data());
      T sum;
      for (int i = 0; i < kNx; ++i) sum += multiplier[i] * next[Index(i)];
      AddHessianOf(sum, view);
    }
  }

 private:
  static constexpr size_t Index(int i) { return static_cast<size_t>(i); }

  /// z = (u, x) as variables.
  template <typename T>
  static std::array<T, kNz> Variables(const double* x, const double* u) {
    std::array<T, kNz> z;
    for (int i = 0; i < kNz; ++i) {
      const double value = i < kNu ? u[i] : x[i - kNu];
      if constexpr (std::same_as<T, SecondDual<kNz>>) {
        z[Index(i)] = SecondVariable<kNz>(value, i);
      } else {
        z[Index(i)] = T::Variable(value, i);
      }
    }
    return z;
  }

  template <size_t Size>
  static double HalfSquares(const std::array<double, Size>& r) {
    double sum = 0;
    for (const double entry : r) sum += entry * entry;
    return 0.5 * sum;
  }

  [[nodiscard]] double StageCost(int t, const double* x, const double* u) const {
    if constexpr (requires { Formula::kStageResiduals; }) {
      std::array<double, Formula::kStageResiduals> r;
      formula_.StageResidual(t, x, u, r.data());
      return HalfSquares(r);
    } else {
      return formula_.StageCost(t, x, u);
    }
  }

  void DualStep(int t, const double* x, const double* u, const View& view) const {
    using T = Dual<double, kNz>;
    std::array<T, kNz> z = Variables<T>(x, u);
    std::array<T, kNx> next;
    formula_.Step(t, z.data() + kNu, z.data(), next.data());
    for (int i = 0; i < kNx; ++i) {
      const auto& partial = next[Index(i)].partial;
      for (int j = 0; j < kNu; ++j) view.B(i, j) = partial[Index(j)];
      for (int j = 0; j < kNx; ++j) view.A(i, j) = partial[Index(kNu + j)];
    }
  }

  /// Gradient sum r r', Hessian sum r' r'^T of residuals; rows i of the Jacobian are partials.
  template <size_t Size>
  static void GaussNewton(const std::array<Dual<double, kNz>, Size>& r, const View& view) {
    for (int a = 0; a < kNz; ++a) {
      double gradient = 0;
      for (const auto& entry : r) gradient += entry.value * entry.partial[Index(a)];
      (a < kNu ? view.lu(a) : view.lx(a - kNu)) = gradient;
      for (int b = a; b < kNz; ++b) {
        double sum = 0;
        for (const auto& entry : r) sum += entry.partial[Index(a)] * entry.partial[Index(b)];
        SetHessian(a, b, sum, view);
      }
    }
  }

  static void SetHessian(int a, int b, double value, const View& view) {
    if (b < kNu) {
      view.luu(a, b) = value;
      view.luu(b, a) = value;
    } else if (a < kNu) {
      view.lux(a, b - kNu) = value;
    } else {
      view.lxx(a - kNu, b - kNu) = value;
      view.lxx(b - kNu, a - kNu) = value;
    }
  }

  static void AddHessianOf(const SecondDual<kNz>& value, const View& view) {
    const auto second = [&value](int a, int b) {
      return value.partial[Index(a)].partial[Index(b)];
    };
    for (int a = 0; a < kNu; ++a) {
      for (int b = 0; b < kNu; ++b) view.luu(a, b) += second(a, b);
      for (int b = 0; b < kNx; ++b) view.lux(a, b) += second(a, kNu + b);
    }
    for (int a = 0; a < kNx; ++a) {
      for (int b = 0; b < kNx; ++b) view.lxx(a, b) += second(kNu + a, kNu + b);
    }
  }

  static void SetExpansion(const SecondDual<kNz>& cost, const View& view) {
    for (int a = 0; a < kNz; ++a) {
      (a < kNu ? view.lu(a) : view.lx(a - kNu)) = cost.partial[Index(a)].value;
      for (int b = a; b < kNz; ++b)
        SetHessian(a, b, cost.partial[Index(a)].partial[Index(b)], view);
    }
  }

  void DualStage(int t, const double* x, const double* u, const View& view) const {
    if constexpr (requires { Formula::kStageResiduals; }) {
      using T = Dual<double, kNz>;
      const std::array<T, kNz> z = Variables<T>(x, u);
      std::array<T, Formula::kStageResiduals> r;
      formula_.StageResidual(t, z.data() + kNu, z.data(), r.data());
      GaussNewton(r, view);
    } else {
      const std::array<SecondDual<kNz>, kNz> z = Variables<SecondDual<kNz>>(x, u);
      SetExpansion(formula_.StageCost(t, z.data() + kNu, z.data()), view);
    }
  }

  void DualTerminal(const double* x, const View& view) const {
    const std::array<double, kNu> no_action{};
    if constexpr (requires { Formula::kTerminalResiduals; }) {
      using T = Dual<double, kNz>;
      const std::array<T, kNz> z = Variables<T>(x, no_action.data());
      std::array<T, Formula::kTerminalResiduals> r;
      formula_.TerminalResidual(z.data() + kNu, r.data());
      GaussNewton(r, view);
    } else {
      const std::array<SecondDual<kNz>, kNz> z = Variables<SecondDual<kNz>>(x, no_action.data());
      SetExpansion(formula_.TerminalCost(z.data() + kNu), view);
    }
  }

  Formula formula_;
};

}  // namespace foreplan

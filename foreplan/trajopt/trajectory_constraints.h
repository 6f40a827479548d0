// Constraints of a trajectory, beside the bounds of its actions.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "foreplan/core/dual.h"

namespace foreplan {

/// g_t(x, u) = 0 or <= 0 at the knots t = 0 ... N-1, g_N(x) at the end. Const and shared between
/// threads.
class TrajectoryConstraints {
 public:
  virtual ~TrajectoryConstraints() = default;

  [[nodiscard]] virtual int count(int t) const = 0;
  /// So many of them, the first ones, are g = 0; the others are g <= 0.
  [[nodiscard]] virtual int equalities(int t) const = 0;

  /// g: [count]; u is null at t = N.
  virtual void Evaluate(int t, const double* x, const double* u, double* g) const = 0;
  /// Also dg / d(u, x): [count x nu + nx], row by row; the columns of u are 0 at t = N.
  virtual void Expand(int t, const double* x, const double* u, double* g,
                      double* jacobian) const = 0;
};

/// Constraints given by formulas that are templates on the number type. A formula has kStateDim,
/// kActionDim, `int horizon`, and for either kind of knot
///   kStageEqualities, kStageConstraints, void Stage(int t, const T* x, const T* u, T* g)
///   kEndEqualities, kEndConstraints, void End(const T* x, T* g)
/// where the counts of constraints include the equalities, which come first.
template <typename Formula>
class FormulaConstraints final : public TrajectoryConstraints {
 public:
  explicit FormulaConstraints(Formula formula) : formula_(std::move(formula)) {}

  [[nodiscard]] int count(int t) const override {
    return t < formula_.horizon ? Formula::kStageConstraints : Formula::kEndConstraints;
  }
  [[nodiscard]] int equalities(int t) const override {
    return t < formula_.horizon ? Formula::kStageEqualities : Formula::kEndEqualities;
  }
  void Evaluate(int t, const double* x, const double* u, double* g) const override {
    Write(t, x, u, g);
  }
  void Expand(int t, const double* x, const double* u, double* g, double* jacobian) const override {
    std::array<Number, kNz> z;
    for (int i = 0; i < kNz; ++i) {
      const double value = i >= Formula::kActionDim ? x[i - Formula::kActionDim]
                           : u != nullptr           ? u[i]
                                                    : 0;
      z[static_cast<size_t>(i)] = Number::Variable(value, i);
    }
    std::array<Number, kMost> values;
    Write(t, z.data() + Formula::kActionDim, z.data(), values.data());
    for (int i = 0; i < count(t); ++i) {
      const Number& value = values[static_cast<size_t>(i)];
      g[i] = value.value;
      for (size_t j = 0; j < kNz; ++j) *jacobian++ = value.partial[j];
    }
  }

 private:
  static constexpr int kNz = Formula::kActionDim + Formula::kStateDim;
  static constexpr int kMost = Formula::kStageConstraints + Formula::kEndConstraints;
  using Number = Dual<double, kNz>;

  template <typename T>
  void Write(int t, const T* x, const T* u, T* g) const {
    if (t < formula_.horizon) {
      formula_.Stage(t, x, u, g);
    } else {
      formula_.End(x, g);
    }
  }

  Formula formula_;
};

}  // namespace foreplan

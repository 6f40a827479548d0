// What lies beyond the horizon.
#pragma once

#include <Eigen/Core>

namespace foreplan {

/// V(o): what is still to be earned from an observation on. Const and shared between threads. A row
/// that holds a NaN gets the value NaN.
class TerminalValue {
 public:
  virtual ~TerminalValue() = default;

  [[nodiscard]] virtual int observation_dim() const = 0;

  /// observation: [rows x no], value: [rows].
  virtual void Evaluate(int rows, const double* observation, double* value) const = 0;

  /// dV/do of every row: [rows x no]. Throws InputError when the value has no derivatives.
  virtual void Gradient(int rows, const double* observation, double* gradient) const;

  /// Of one observation the value, its gradient, [no], and a negative semidefinite matrix in the
  /// Hessian's place, [no x no]: the Hessian itself where V is concave. Throws InputError when the
  /// value has no derivatives.
  virtual double ExpandConcave(const double* observation, double* gradient, double* hessian) const;
};

/// V(o) = offset - (o - target)' P (o - target).
class QuadraticValue final : public TerminalValue {
 public:
  /// P: [no x no]. Throws InputError for sizes that do not fit, numbers that are not finite and a P
  /// that is not symmetric and positive semidefinite, but for rounding.
  QuadraticValue(Eigen::MatrixXd P, Eigen::VectorXd target, double offset = 0);

  [[nodiscard]] int observation_dim() const override { return static_cast<int>(target_.size()); }
  void Evaluate(int rows, const double* observation, double* value) const override;
  void Gradient(int rows, const double* observation, double* gradient) const override;
  double ExpandConcave(const double* observation, double* gradient, double* hessian) const override;

 private:
  Eigen::MatrixXd P_;
  Eigen::VectorXd target_;
  double offset_;
};

/// Throws InputError for a value of observations of another size than `observation_dim`; null is of
/// any.
void CheckTerminalValue(const TerminalValue* value, int observation_dim);

}  // namespace foreplan

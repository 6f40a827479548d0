#include "foreplan/models/terminal_value.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

InputError NoDerivatives() {
  return InputError(
      "terminal value: found one without derivatives, expected one that has them: gradients of "
      "imagined returns and iLQR need them");
}

}  // namespace

void TerminalValue::Gradient(int /*rows*/, const double* /*observation*/,
                             double* /*gradient*/) const {
  throw NoDerivatives();
}

double TerminalValue::ExpandConcave(const double* /*observation*/, double* /*gradient*/,
                                    double* /*hessian*/) const {
  throw NoDerivatives();
}

QuadraticValue::QuadraticValue(Eigen::MatrixXd P, Eigen::VectorXd target, double offset)
    : P_(std::move(P)), target_(std::move(target)), offset_(offset) {
  if (P_.rows() != target_.size() || P_.cols() != target_.size()) {
    throw InputError(
        fmt::format("quadratic value: P: found {} x {}, expected {} x {}, the target's", P_.rows(),
                    P_.cols(), target_.size(), target_.size()));
  }
  if (!P_.allFinite() || !target_.allFinite()) {
    throw InputError("quadratic value: found numbers that are not finite in P or the target");
  }
  constexpr double kRounding = 1e-9;  // of the largest entry
  const double largest = P_.size() > 0 ? P_.cwiseAbs().maxCoeff() : 0;
  if ((P_ - P_.transpose()).cwiseAbs().maxCoeff() > kRounding * largest) {
    throw InputError("quadratic value: P: found a matrix that is not symmetric");
  }
  const double least =
      Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(P_, Eigen::EigenvaluesOnly).eigenvalues()(0);
  if (least < -kRounding * largest) {
    throw InputError(fmt::format(
        "quadratic value: P: found the eigenvalue {}, expected a positive semidefinite matrix",
        least));
  }
}

void QuadraticValue::Evaluate(int rows, const double* observation, double* value) const {
  const Eigen::Index n = target_.size();
  for (int row = 0; row < rows; ++row, observation += n) {
    // (o - o*)' P (o - o*), by hand: a vector would be memory
    double sum = 0;
    for (Eigen::Index j = 0; j < n; ++j) {
      double product = 0;
      for (Eigen::Index i = 0; i < n; ++i) product += P_(i, j) * (observation[i] - target_[i]);
      sum += product * (observation[j] - target_[j]);
    }
    value[row] = offset_ - sum;
  }
}

void QuadraticValue::Gradient(int rows, const double* observation, double* gradient) const {
  const Eigen::Index n = target_.size();
  for (int row = 0; row < rows; ++row, observation += n, gradient += n) {
    for (Eigen::Index j = 0; j < n; ++j) {
      double product = 0;
      for (Eigen::Index i = 0; i < n; ++i) product += P_(i, j) * (observation[i] - target_[i]);
      gradient[j] = -2 * product;
    }
  }
}

double QuadraticValue::ExpandConcave(const double* observation, double* gradient,
                                     double* hessian) const {
  const Eigen::Index n = target_.size();
  Gradient(1, observation, gradient);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) hessian[i * n + j] = -2 * P_(i, j);
  }
  double value = 0;
  Evaluate(1, observation, &value);
  return value;
}

void CheckTerminalValue(const TerminalValue* value, int observation_dim) {
  if (value == nullptr || value->observation_dim() == observation_dim) return;
  throw InputError(fmt::format("terminal value: found one of {} observed numbers, expected {}",
                               value->observation_dim(), observation_dim));
}

}  // namespace foreplan

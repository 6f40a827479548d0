#include "foreplan/policies/linear_gaussian.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/step_tensors.h"
#include "foreplan/data/tensor_checks.h"

namespace foreplan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void CheckShape(int t, const char* field, const Eigen::MatrixXd& found, Eigen::Index rows,
                Eigen::Index columns) {
  if (found.rows() == rows && found.cols() == columns && found.allFinite()) return;
  throw InputError(fmt::format(
      "linear-Gaussian policy: step {}: {}: found {} x {}{}, expected {} x {} finite numbers", t,
      field, found.rows(), found.cols(), found.allFinite() ? "" : " with NaN or infinity", rows,
      columns));
}

/// L with covariance = L L', also for singular ones.
Eigen::MatrixXd Root(int t, const Eigen::MatrixXd& covariance) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(covariance);
  const double largest = std::max(1e-300, eigen.eigenvalues().cwiseAbs().maxCoeff());
  const double asymmetry = (covariance - covariance.transpose()).cwiseAbs().maxCoeff();
  if (eigen.eigenvalues().minCoeff() < -1e-9 * largest || asymmetry > 1e-9 * largest) {
    throw InputError(
        fmt::format("linear-Gaussian policy: step {}: covariance: found least eigenvalue {}, "
                    "asymmetry {}, expected symmetric and positive semidefinite",
                    t, eigen.eigenvalues().minCoeff(), asymmetry));
  }
  return eigen.eigenvectors() *
         eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt().asDiagonal().toDenseMatrix();
}

}  // namespace

LinearGaussianPolicy::LinearGaussianPolicy(std::vector<LinearGaussianStep> steps)
    : steps_(std::move(steps)) {
  if (steps_.empty()) throw InputError("linear-Gaussian policy: found no steps, expected some");
  const Eigen::Index nu = steps_.front().action.size();
  const Eigen::Index nx = steps_.front().state.size();
  for (int t = 0; t < horizon(); ++t) {
    const LinearGaussianStep& s = step(t);
    CheckShape(t, "action", s.action, nu, 1);
    CheckShape(t, "state", s.state, nx, 1);
    CheckShape(t, "feedforward", s.feedforward, nu, 1);
    CheckShape(t, "feedback", s.feedback, nu, nx);
    CheckShape(t, "covariance", s.covariance, nu, nu);
    root_.push_back(Root(t, s.covariance));
  }
}

Eigen::VectorXd LinearGaussianPolicy::Mean(int t, const Eigen::VectorXd& x) const {
  const LinearGaussianStep& s = step(t);
  return s.action + s.feedforward + s.feedback * (x - s.state);
}

Eigen::VectorXd LinearGaussianPolicy::Offset(int t) const {
  const LinearGaussianStep& s = step(t);
  return s.action + s.feedforward - s.feedback * s.state;
}

Eigen::VectorXd LinearGaussianPolicy::MeanPlusNoise(int t, const Eigen::VectorXd& x,
                                                    const Eigen::VectorXd& noise) const {
  return Mean(t, x) + root_[static_cast<size_t>(t)] * noise;
}

Eigen::VectorXd LinearGaussianPolicy::InUnitsOfDeviation(int t,
                                                         const Eigen::VectorXd& difference) const {
  // The columns l of L are orthogonal: L^-1 d has entries l'd / |l|^2.
  const Eigen::MatrixXd& L = root_[static_cast<size_t>(t)];
  Eigen::VectorXd noise(L.cols());
  for (Eigen::Index i = 0; i < L.cols(); ++i) {
    const double variance = L.col(i).squaredNorm();
    noise[i] = variance > 0 ? L.col(i).dot(difference) / variance : 0;
  }
  return noise;
}

Eigen::VectorXd LinearGaussianPolicy::Sample(int t, const Eigen::VectorXd& x,
                                             Random& random) const {
  Eigen::VectorXd noise(step(t).action.size());
  for (Eigen::Index i = 0; i < noise.size(); ++i) noise[i] = random.Normal();
  return MeanPlusNoise(t, x, noise);
}

double LinearGaussianPolicy::LogProbability(int t, const Eigen::VectorXd& x,
                                            const Eigen::VectorXd& u) const {
  // Sigma = L L' with orthogonal columns: Sigma^-1 d = sum over columns l of l (l'd) / |l|^4.
  const Eigen::MatrixXd& L = root_[static_cast<size_t>(t)];
  const Eigen::VectorXd d = u - Mean(t, x);
  double log_det = 0;
  double distance = 0;
  for (Eigen::Index i = 0; i < L.cols(); ++i) {
    const double variance = L.col(i).squaredNorm();
    if (variance == 0) return d.isZero(0) ? kInfinity : -kInfinity;
    log_det += std::log(variance);
    const double along = L.col(i).dot(d) / variance;
    distance += along * along;
  }
  const auto nu = static_cast<double>(d.size());
  return -0.5 * (distance + log_det + nu * std::log(2 * std::numbers::pi));
}

double LinearGaussianPolicy::Entropy(int t) const {
  const Eigen::MatrixXd& L = root_[static_cast<size_t>(t)];
  double log_det = 0;
  for (Eigen::Index i = 0; i < L.cols(); ++i) log_det += std::log(L.col(i).squaredNorm());
  return 0.5 * (log_det + static_cast<double>(L.cols()) * (1 + std::log(2 * std::numbers::pi)));
}

void LinearGaussianPolicy::Save(const std::string& prefix, TensorFile& file) const {
  const auto save = [&](const char* name, auto field) {
    std::vector<Eigen::MatrixXd> matrices;
    for (const LinearGaussianStep& step : steps_) matrices.emplace_back(step.*field);
    SaveSteps(prefix + name, matrices, file);
  };
  save("action", &LinearGaussianStep::action);
  save("state", &LinearGaussianStep::state);
  save("feedforward", &LinearGaussianStep::feedforward);
  save("feedback", &LinearGaussianStep::feedback);
  save("covariance", &LinearGaussianStep::covariance);
}

LinearGaussianPolicy LinearGaussianPolicy::Restored(const std::string& prefix,
                                                    const TensorFile& file, int steps, int nx,
                                                    int nu) {
  std::vector<LinearGaussianStep> restored(static_cast<size_t>(steps));
  const auto restore = [&](const char* name, int rows, int columns, auto field) {
    const auto matrices = RestoredSteps(prefix + name, steps, rows, columns, file);
    CheckFinite(file, prefix + name);
    for (size_t t = 0; t < restored.size(); ++t) restored[t].*field = matrices[t];
  };
  restore("action", nu, 1, &LinearGaussianStep::action);
  restore("state", nx, 1, &LinearGaussianStep::state);
  restore("feedforward", nu, 1, &LinearGaussianStep::feedforward);
  restore("feedback", nu, nx, &LinearGaussianStep::feedback);
  restore("covariance", nu, nu, &LinearGaussianStep::covariance);
  try {
    return LinearGaussianPolicy(std::move(restored));
  } catch (const InputError& error) {
    throw InputError(
        fmt::format("{}: tensor '{}covariance': {}", file.source, prefix, error.what()));
  }
}

void LinearGaussianPolicy::set_bounds(std::span<const double> low, std::span<const double> high) {
  const auto nu = static_cast<size_t>(steps_.empty() ? 0 : steps_.front().action.size());
  if (low.size() != high.size() || (!low.empty() && low.size() != nu)) {
    throw InputError(
        fmt::format("linear-Gaussian policy: bounds: found {} lower and {} upper, expected {}",
                    low.size(), high.size(), nu));
  }
  low_.assign(low.begin(), low.end());
  high_.assign(high.begin(), high.end());
}

void LinearGaussianPolicy::Act(const Situation& situation, std::span<double> action) {
  const int t = std::min(situation.time, horizon() - 1);
  const LinearGaussianStep& s = step(t);
  const Eigen::Map<const Eigen::VectorXd> x(situation.observation.data(), s.state.size());
  Random random(situation.key);
  Clamped(Sample(t, x, random), action);
}

void LinearGaussianPolicy::ActMean(int t, std::span<const double> x,
                                   std::span<double> action) const {
  const Eigen::Map<const Eigen::VectorXd> at(x.data(), static_cast<Eigen::Index>(x.size()));
  Clamped(Mean(t, at), action);
}

void LinearGaussianPolicy::Clamped(const Eigen::VectorXd& u, std::span<double> action) const {
  for (size_t i = 0; i < action.size(); ++i) {
    action[i] = u[static_cast<Eigen::Index>(i)];
    if (!low_.empty()) action[i] = std::clamp(action[i], low_[i], high_[i]);
  }
}

}  // namespace foreplan

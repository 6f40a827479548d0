#include "foreplan/policies/network_policy.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/column_statistics.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/nets/mlp_widths.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int kRows = 64;  // states that go through the network together

}  // namespace

void NetworkPolicyOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, PolicyOutput>> kOutputs = {
      {"none", PolicyOutput::kNone}, {"tanh", PolicyOutput::kTanh}};
  visitor.Field("hidden_layers", hidden_layers, {1, 8}, "hidden layers");
  visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  visitor.Choice("output", output, std::span(kOutputs), "what follows the last layer");
  visitor.Choice("kernel", kernel, DenseKernelNames(), "library for dense products");
}

NetworkPolicy::NetworkPolicy(int nx, std::span<const double> low, std::span<const double> high,
                             const NetworkPolicyOptions& options, Key key)
    : NetworkPolicy(FeatureMap(nx), low, high, options, key) {}

NetworkPolicy::NetworkPolicy(const FeatureMap& features, std::span<const double> low,
                             std::span<const double> high, const NetworkPolicyOptions& options,
                             Key key)
    : options_(Validated("policy", options)),
      encoder_(features),
      low_(low.begin(), low.end()),
      high_(high.begin(), high.end()),
      mlp_(MlpWidths(features.inputs(), options_.hidden_layers, options_.width,
                     static_cast<int>(low.size()))),
      kernel_(GetDenseKernel(options_.kernel)),
      parameters_(static_cast<size_t>(mlp_.parameters())),
      output_(static_cast<int>(low.size())),
      network_(mlp_, kernel_, kRows),
      inputs_(static_cast<size_t>(kRows) * static_cast<size_t>(features.inputs())),
      by_input_(static_cast<size_t>(features.inputs())),
      by_state_(static_cast<size_t>(features.observation_dim())),
      state_(features.observation_dim(), 1),
      action_(static_cast<Index>(low.size()), 1) {
  if (low_.size() != high_.size()) {
    throw InputError(fmt::format("policy: bounds: found {} lower and {} upper, expected as many",
                                 low_.size(), high_.size()));
  }
  for (size_t i = 0; i < low_.size(); ++i) {
    const bool finite = std::isfinite(low_[i]) && std::isfinite(high_[i]);
    if (low_[i] < high_[i] && (finite || options_.output != PolicyOutput::kTanh)) continue;
    throw InputError(
        fmt::format("policy: bounds of action {}: found {} ... {}, expected {}low < high", i,
                    low_[i], high_[i], options_.output == PolicyOutput::kTanh ? "finite " : ""));
  }
  mlp_.Initialise(key, parameters_);
  set_covariance(MatrixXd::Zero(action_dim(), action_dim()));
}

void NetworkPolicy::set_covariance(const MatrixXd& covariance) {
  SetCovariance(covariance, "policy: covariance");
}

void NetworkPolicy::SetCovariance(const MatrixXd& covariance, const std::string& name) {
  const Index nu = action_dim();
  if (covariance.rows() != nu || covariance.cols() != nu || !covariance.allFinite()) {
    throw InputError(fmt::format("{}: found {} x {}{}, expected {} x {}", name, covariance.rows(),
                                 covariance.cols(),
                                 covariance.allFinite() ? "" : " with NaN or infinity", nu, nu));
  }
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(covariance);
  const double largest = std::max(1e-300, eigen.eigenvalues().cwiseAbs().maxCoeff());
  const double asymmetry = (covariance - covariance.transpose()).cwiseAbs().maxCoeff();
  if (eigen.eigenvalues().minCoeff() < -1e-9 * largest || asymmetry > 1e-9 * largest) {
    throw InputError(
        fmt::format("{}: found least eigenvalue {}, asymmetry {}, expected symmetric and positive "
                    "semidefinite",
                    name, eigen.eigenvalues().minCoeff(), asymmetry));
  }
  covariance_ = covariance;
  root_ = eigen.eigenvectors() *
          eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt().asDiagonal().toDenseMatrix();
}

NetworkPolicy::Squashed NetworkPolicy::Squash(int i, double y) const {
  const auto at = static_cast<size_t>(i);
  if (options_.output == PolicyOutput::kNone) {
    return {output_.mean[at] + output_.scale[at] * y, output_.scale[at]};
  }
  const double half = 0.5 * (high_[at] - low_[at]);
  const double tanh = std::tanh(y);
  return {low_[at] + half * (1 + tanh), half * (1 - tanh * tanh)};
}

void NetworkPolicy::ScaleOutput(const Eigen::Ref<const MatrixXd>& actions) {
  if (options_.output == PolicyOutput::kTanh) return;
  const auto row = [&](int64_t i, double* action) {
    for (Eigen::Index k = 0; k < actions.rows(); ++k) action[k] = actions(k, i);
  };
  output_ = Normaliser::OfInputs(MeasureColumns(actions.cols(), Size(action_dim()), row));
}

void NetworkPolicy::Evaluate(const Eigen::Ref<const MatrixXd>& states, MatrixXd& actions,
                             MatrixXd* jacobians) {
  const int nx = state_dim();
  const int nu = action_dim();
  const int inputs = mlp_.inputs();
  const auto rows = static_cast<int>(states.cols());
  actions.resize(nu, rows);
  if (jacobians != nullptr) jacobians->resize(static_cast<Index>(nu) * rows, nx);
  for (int first = 0; first < rows; first += kRows) {
    const int count = std::min(kRows, rows - first);
    for (int j = 0; j < count; ++j) {
      encoder_.Encode(1, states.col(first + j).data(),
                      inputs_.data() + static_cast<Index>(j) * inputs);
    }
    if (jacobians == nullptr) {
      network_.Forward(parameters_, count, inputs_.data());
    } else {
      network_.Evaluate(parameters_, count, inputs_.data());
    }
    for (int j = 0; j < count; ++j) {
      for (int i = 0; i < nu; ++i) {
        const auto [action, slope] = Squash(i, network_.outputs()[j * nu + i]);
        actions(i, first + j) = action;
        if (jacobians == nullptr) continue;
        // d u_i / d feature_k = slope dy_i / d input_k / scale_k
        const float* gradient = network_.jacobian() + static_cast<Index>(j * nu + i) * inputs;
        for (size_t k = 0; k < by_input_.size(); ++k) {
          by_input_[k] = slope * gradient[k] / input_normaliser().scale[k];
        }
        features().PullBack(states.col(first + j).data(), nullptr, by_input_.data(),
                            by_state_.data(), nullptr);
        jacobians->row(static_cast<Index>(first + j) * nu + i) =
            Eigen::Map<const Eigen::RowVectorXd>(by_state_.data(), nx);
      }
    }
  }
}

void NetworkPolicy::Mean(const Eigen::Ref<const MatrixXd>& states, MatrixXd& actions) {
  Evaluate(states, actions, nullptr);
}

void NetworkPolicy::Linearize(const Eigen::Ref<const MatrixXd>& states, MatrixXd& actions,
                              MatrixXd& jacobians) {
  Evaluate(states, actions, &jacobians);
}

VectorXd NetworkPolicy::MeanPlusNoise(const Eigen::Ref<const VectorXd>& state,
                                      const Eigen::Ref<const VectorXd>& noise) {
  Mean(state, action_);
  return action_.col(0) + root_ * noise;
}

void NetworkPolicy::Act(const Situation& situation, std::span<double> action) {
  std::copy_n(situation.observation.begin(), state_dim(), state_.data());
  Mean(state_, action_);
  Random random(situation.key);
  for (Index j = 0; j < root_.cols(); ++j) action_.col(0) += random.Normal() * root_.col(j);
  Clamp(action);
}

void NetworkPolicy::ActByMean(std::span<const double> observation, std::span<double> action) {
  std::copy_n(observation.begin(), state_dim(), state_.data());
  Mean(state_, action_);
  Clamp(action);
}

void NetworkPolicy::Clamp(std::span<double> action) const {
  for (size_t i = 0; i < action.size(); ++i) {
    action[i] = std::clamp(action_(static_cast<Index>(i), 0), low_[i], high_[i]);
  }
}

void NetworkPolicy::Save(const std::string& prefix, TensorFile& file) const {
  file.tensors[prefix + "parameters"] = {{mlp_.parameters()}, parameters_};
  input_normaliser().Save(prefix + "input", file);
  output_.Save(prefix + "output", file);
  file.tensors[prefix + "covariance"] = {
      {action_dim(), action_dim()},
      std::vector<double>(covariance_.data(), covariance_.data() + covariance_.size())};
}

void NetworkPolicy::Restore(const std::string& prefix, const TensorFile& file) {
  const std::array<int64_t, 1> all = {mlp_.parameters()};
  const std::array<int64_t, 2> square = {action_dim(), action_dim()};
  const std::vector<float>& parameters = file.Floats(prefix + "parameters", all);
  const std::vector<double>& covariance = file.Doubles(prefix + "covariance", square);
  Normaliser input = input_normaliser();
  Normaliser output = output_;
  input.Restore(prefix + "input", file);
  output.Restore(prefix + "output", file);
  CheckFinite(file, prefix + "parameters");
  CheckFinite(file, prefix + "covariance");
  SetCovariance(Eigen::Map<const MatrixXd>(covariance.data(), action_dim(), action_dim()),
                fmt::format("{}: tensor '{}covariance'", file.source, prefix));
  parameters_ = parameters;
  input_normaliser() = std::move(input);
  output_ = std::move(output);
}

LinearGaussianPolicy LinearizeAlong(NetworkPolicy& policy, const RolloutView& rollouts) {
  CheckRollouts("linearise policy", rollouts);
  const Index nx = policy.state_dim();
  const Index nu = policy.action_dim();
  if (rollouts.nx != nx || rollouts.nu != nu) {
    throw InputError(
        fmt::format("linearise policy: found rollouts of {} states and {} actions, expected {} and "
                    "{}",
                    rollouts.nx, rollouts.nu, nx, nu));
  }
  const Index N = rollouts.rollouts;
  const auto share = 1.0 / static_cast<double>(N);
  MatrixXd states(nx, N);
  MatrixXd actions;
  MatrixXd jacobians;
  std::vector<LinearGaussianStep> linear;
  for (int t = 0; t < rollouts.transitions; ++t) {
    for (int n = 0; n < N; ++n)
      states.col(n) = Eigen::Map<const VectorXd>(rollouts.state(n, t), nx);
    policy.Linearize(states, actions, jacobians);
    LinearGaussianStep step{.action = actions.rowwise().mean(),
                            .state = states.rowwise().mean(),
                            .feedforward = VectorXd::Zero(nu),
                            .feedback = MatrixXd::Zero(nu, nx),
                            .covariance = policy.covariance()};
    for (Index n = 0; n < N; ++n) step.feedback += share * jacobians.middleRows(n * nu, nu);
    linear.push_back(std::move(step));
  }
  return LinearGaussianPolicy(std::move(linear));
}

}  // namespace foreplan

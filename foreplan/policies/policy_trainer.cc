#include "foreplan/policies/policy_trainer.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "foreplan/core/error.h"
#include "foreplan/core/validated.h"
#include "foreplan/nets/adam.h"

namespace foreplan {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

void CheckFinite(const char* name, const std::vector<double>& values, int per_row) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw RunError(fmt::format("policy fit: {} of row {}: found {}, expected a finite number", name,
                               i / static_cast<size_t>(per_row), values[i]));
  }
}

}  // namespace

void PolicyFitOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("steps", steps, {1, 1e8}, "gradient steps of a fit");
  visitor.Field("batch", batch, {1, 1e6}, "rows per gradient step");
  visitor.Field("learning_rate", learning_rate, {1e-12, 10}, "Adam's");
  visitor.Field("final_rate", final_rate, {0, 1}, "share of the learning rate at the last step");
  visitor.Field("nearby", nearby, {0, 1000},
                "more states around each one that a teacher is asked at");
}

void Supervision::Clear() {
  states.clear();
  actions.clear();
  precisions.clear();
}

void Supervision::Add(const LinearGaussianPolicy& teacher, const RolloutView& rollouts, int nearby,
                      Key key) {
  CheckRollouts("supervision", rollouts);
  const Index nx = teacher.horizon() > 0 ? teacher.step(0).state.size() : 0;
  const Index nu = teacher.horizon() > 0 ? teacher.step(0).action.size() : 0;
  if (rollouts.transitions > teacher.horizon() || rollouts.nx != nx || rollouts.nu != nu) {
    throw InputError(
        fmt::format("supervision: found rollouts of {} transitions, {} states and {} actions, "
                    "expected at most {}, {} and {}",
                    rollouts.transitions, rollouts.nx, rollouts.nu, teacher.horizon(), nx, nu));
  }
  for (int t = 0; t < rollouts.transitions; ++t) {
    const Eigen::LLT<MatrixXd> llt(teacher.step(t).covariance);
    if (llt.info() != Eigen::Success) {
      throw RunError(fmt::format(
          "supervision: step {}: found a singular covariance, expected positive definite", t));
    }
    const MatrixXd P = llt.solve(MatrixXd::Identity(nu, nu));
    MatrixXd seen(nx, rollouts.rollouts);
    for (int n = 0; n < rollouts.rollouts; ++n) {
      seen.col(n) = Eigen::Map<const VectorXd>(rollouts.state(n, t), nx);
    }
    const VectorXd mean = seen.rowwise().mean();
    const VectorXd deviation =
        ((seen.colwise() - mean).rowwise().squaredNorm() / rollouts.rollouts).cwiseSqrt();
    Random random(key.Fold(static_cast<uint64_t>(t)));
    for (int i = 0; i < rollouts.rollouts * (1 + nearby); ++i) {
      VectorXd x = seen.col(i % rollouts.rollouts);
      if (i >= rollouts.rollouts) {
        for (Index k = 0; k < nx; ++k) x[k] += deviation[k] * random.Normal();
      }
      const VectorXd u = teacher.Mean(t, x);
      states.insert(states.end(), x.begin(), x.end());
      actions.insert(actions.end(), u.begin(), u.end());
      precisions.insert(precisions.end(), P.data(), P.data() + P.size());
    }
  }
}

PolicyTrainer::PolicyTrainer(NetworkPolicy& policy, const PolicyFitOptions& options)
    : policy_(policy),
      options_(Validated("policy fit", options)),
      gradient_(policy.mlp(), policy.kernel(), options_.batch),
      d_parameters_(policy.parameters().size()),
      batch_input_(static_cast<size_t>(options.batch) * static_cast<size_t>(policy.mlp().inputs())),
      d_output_(static_cast<size_t>(options.batch) * static_cast<size_t>(policy.action_dim())) {}

void PolicyTrainer::PrepareRows(const Supervision& data) {
  const Index nx = policy_.state_dim();
  const Index nu = policy_.action_dim();
  const auto rows = static_cast<Index>(data.actions.size()) / nu;
  if (rows < 1 || static_cast<Index>(data.states.size()) != rows * nx ||
      static_cast<Index>(data.actions.size()) != rows * nu ||
      static_cast<Index>(data.precisions.size()) != rows * nu * nu) {
    throw InputError(fmt::format(
        "policy fit: found {} numbers of states, {} of actions and {} of precisions, expected rows "
        "of {}, {} and {}",
        data.states.size(), data.actions.size(), data.precisions.size(), nx, nu, nu * nu));
  }
  CheckFinite("state", data.states, policy_.state_dim());
  CheckFinite("action", data.actions, policy_.action_dim());
  CheckFinite("precision", data.precisions, static_cast<int>(nu * nu));
  actions_ = Eigen::Map<const MatrixXd>(data.actions.data(), nu, rows);
  precisions_ = Eigen::Map<const MatrixXd>(data.precisions.data(), nu, nu * rows);
  policy_.encoder().normaliser() = policy_.encoder().Measure(rows, data.states.data());
  policy_.ScaleOutput(actions_);
  inputs_.resize(static_cast<size_t>(rows * policy_.mlp().inputs()));
  policy_.encoder().Encode(static_cast<int>(rows), data.states.data(), inputs_.data());
  // The covariance that minimises the divergence: the inverse of the mean precision.
  MatrixXd mean = MatrixXd::Zero(nu, nu);
  for (Index row = 0; row < rows; ++row) {
    mean += precisions_.middleCols(row * nu, nu) / static_cast<double>(rows);
  }
  mean = 0.5 * (mean + mean.transpose()).eval();
  const Eigen::LLT<MatrixXd> llt(mean);
  if (llt.info() != Eigen::Success) {
    throw RunError("policy fit: precisions: found an indefinite mean, expected positive definite");
  }
  const MatrixXd covariance = llt.solve(MatrixXd::Identity(nu, nu));
  if (!covariance.allFinite()) {
    throw RunError("policy fit: precisions: found a mean without an inverse, expected one");
  }
  policy_.set_covariance(0.5 * (covariance + covariance.transpose()));
  precisions_ *= static_cast<double>(nu) / mean.trace();
}

PolicyFitReport PolicyTrainer::Fit(const Supervision& data, Key key) {
  TensorFile before;
  policy_.Save("", before);
  try {
    PrepareRows(data);
    return Descend(key);
  } catch (...) {
    policy_.Restore("", before);
    throw;
  }
}

PolicyFitReport PolicyTrainer::Descend(Key key) {
  const auto rows = static_cast<int>(actions_.cols());
  first_moment_.assign(d_parameters_.size(), 0.0F);
  second_moment_.assign(d_parameters_.size(), 0.0F);
  std::vector<int> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  std::vector<int> batch(static_cast<size_t>(std::min(options_.batch, rows)));
  size_t next = order.size();
  uint64_t epoch = 0;
  for (int step = 1; step <= options_.steps; ++step) {
    for (int& row : batch) {
      if (next == order.size()) {
        Random(key.Fold(epoch++)).Shuffle(std::span(order));
        next = 0;
      }
      row = order[next++];
    }
    const double done = static_cast<double>(step) / options_.steps;
    const double rate = options_.learning_rate * (1 - (1 - options_.final_rate) * done);
    const double loss = TakeGradientStep(step, rate, batch);
    if (!std::isfinite(loss)) {
      throw RunError(fmt::format("policy fit: the loss is {} at gradient step {} of {}", loss, step,
                                 options_.steps));
    }
  }
  std::iota(order.begin(), order.end(), 0);
  return {.rows = rows, .loss = Loss(order)};
}

/// Loss of the rows; fills d_output_ with its gradient.
double PolicyTrainer::Loss(std::span<const int> rows) {
  const int inputs = policy_.mlp().inputs();
  const int nu = policy_.action_dim();
  double sum = 0;
  VectorXd error(nu);
  VectorXd slope(nu);
  VectorXd force(nu);
  for (size_t first = 0; first < rows.size(); first += static_cast<size_t>(options_.batch)) {
    const auto part =
        rows.subspan(first, std::min(rows.size() - first, static_cast<size_t>(options_.batch)));
    for (size_t j = 0; j < part.size(); ++j) {
      std::copy_n(inputs_.data() + static_cast<Index>(part[j]) * inputs, inputs,
                  batch_input_.data() + static_cast<Index>(j) * inputs);
    }
    const float* y =
        gradient_.Forward(policy_.parameters(), static_cast<int>(part.size()), batch_input_.data());
    for (size_t j = 0; j < part.size(); ++j) {
      const auto at = static_cast<Index>(j) * nu;
      for (int i = 0; i < nu; ++i) {
        const auto [action, derivative] = policy_.Squash(i, y[at + i]);
        error[i] = action - actions_(i, part[j]);
        slope[i] = derivative;
      }
      // d 1/2 e'P e / dy = slope P e
      force.noalias() = precisions_.middleCols(static_cast<Index>(part[j]) * nu, nu) * error;
      sum += 0.5 * error.dot(force);
      for (int i = 0; i < nu; ++i) {
        d_output_[static_cast<size_t>(at + i)] =
            static_cast<float>(slope[i] * force[i] / static_cast<double>(part.size()));
      }
    }
  }
  return sum / static_cast<double>(rows.size());
}

double PolicyTrainer::TakeGradientStep(int64_t step, double learning_rate,
                                       std::span<const int> batch) {
  const double loss = Loss(batch);
  gradient_.Backward(policy_.parameters(), d_output_.data(), d_parameters_);
  AdamStep({.learning_rate = learning_rate}, step, d_parameters_, first_moment_, second_moment_,
           policy_.parameters());
  return loss;
}

}  // namespace foreplan

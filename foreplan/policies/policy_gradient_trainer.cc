#include "foreplan/policies/policy_gradient_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/nets/adam.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kStarts, kNoise, kCheckStarts, kCheck, kFresh, kAscent };

constexpr double kSmallestDeviation = 1e-3;  // of half the range of an action

ImaginedReturnOptions Sizes(const PolicyGradientOptions& options, int episode_length) {
  return {.horizon = options.horizon > 0 ? options.horizon : episode_length,
          .particles = options.particles,
          .starts = options.starts,
          .discount = options.discount,
          .stop_at_termination = options.stop_at_termination,
          .adjoint_clip = options.adjoint_clip};
}

}  // namespace

void PolicyGradientOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("horizon", horizon, {0, 1e6}, "imagined [steps]; 0: the episode");
  visitor.Field("particles", particles, {1, 1024}, "of a stochastic model");
  visitor.Field("starts", starts, {1, 1e6}, "rollouts per particle and gradient step");
  visitor.Field("steps", steps, {1, 1e8}, "gradient steps of one training");
  visitor.Field("learning_rate", learning_rate, {1e-12, 10}, "Adam's");
  visitor.Field("final_rate", final_rate, {0, 1}, "share of the learning rate at the last step");
  visitor.Field("discount", discount, {0, 1}, "gamma");
  visitor.Field("gradient_clip", gradient_clip, {0, 1e12}, "largest norm of a gradient; 0: none");
  visitor.Field("adjoint_clip", adjoint_clip, {0, 1e12},
                "largest norm of a rollout's gradient by a state; 0: none, exact gradients");
  visitor.Field("stop_at_termination", stop_at_termination,
                "else rewards count on where an episode would have ended");
  visitor.Field("restarts", restarts, {0, 1000}, "fresh policies tried against the present one");
  visitor.Field("restart_steps", restart_steps, {1, 1e8},
                "gradient steps before they are compared");
  visitor.Field("restart_trainings", restart_trainings, {0, 1e9},
                "the first so many trainings try fresh policies");
  visitor.Field("checks", checks, {0, 1e6},
                "comparisons per training, of which the best is kept; 0: the last weights");
  visitor.Field("doubt", doubt, {0, 1e6},
                "of what the model is wrong about the policy's return, the least gain that counts");
  visitor.Field("gaussian", gaussian, "learns a deviation of the actions");
  visitor.Field("deviation", deviation, {kSmallestDeviation, 10},
                "its start, of half the range of an action");
  visitor.Field("entropy", entropy, {0, 1e6}, "weight of the entropy per step");
}

PolicyGradientTrainer::PolicyGradientTrainer(NetworkPolicy& policy,
                                             const std::shared_ptr<const Dynamics>& dynamics,
                                             std::shared_ptr<const Reward> reward,
                                             const PolicyGradientOptions& options,
                                             int episode_length, std::shared_ptr<Executor> executor)
    : policy_(policy),
      options_(Validated("policy_backprop.training", options)),
      imagined_(policy, dynamics, std::move(reward), Sizes(options_, episode_length),
                std::move(executor)),
      starts_(static_cast<size_t>(imagined_.rollouts()) *
              static_cast<size_t>(dynamics->state_dim())),
      check_starts_(starts_.size()),
      d_deviation_(static_cast<size_t>(dynamics->action_dim())) {
  if (options_.gaussian) {
    for (int i = 0; i < policy.action_dim(); ++i) {
      log_deviation_.push_back(
          std::log(options_.deviation * 0.5 * (policy.high(i) - policy.low(i))));
    }
  }
  gradient_.resize(std::as_const(policy).parameters().size() + log_deviation_.size());
  ascended_.resize(gradient_.size());
  first_moment_.resize(gradient_.size());
  second_moment_.resize(gradient_.size());
  Set(Get());
}

PolicyGradientTrainer::Weights PolicyGradientTrainer::Get() const {
  const std::span<const float> parameters = std::as_const(policy_).parameters();
  return {{parameters.begin(), parameters.end()}, log_deviation_};
}

void PolicyGradientTrainer::Set(const Weights& weights) {
  std::ranges::copy(weights.parameters, policy_.parameters().begin());
  log_deviation_ = weights.log_deviation;
  if (!options_.gaussian) return;
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(policy_.action_dim(), policy_.action_dim());
  for (int i = 0; i < policy_.action_dim(); ++i) {
    double& log_deviation = log_deviation_[static_cast<size_t>(i)];
    const double half = 0.5 * (policy_.high(i) - policy_.low(i));
    log_deviation = std::max(log_deviation, std::log(kSmallestDeviation * half));
    covariance(i, i) = std::exp(2 * log_deviation);
    if (!std::isfinite(covariance(i, i))) {
      throw RunError(fmt::format("policy: the variance of action {} is {}", i, covariance(i, i)));
    }
  }
  policy_.set_covariance(covariance);
}

// Of H = sum of 1/2 log(2 pi e) + log deviation, per step and action; the constant aside.
double PolicyGradientTrainer::EntropyValue() const {
  double entropy = 0;
  for (const double log_deviation : log_deviation_) entropy += log_deviation;
  return options_.entropy * imagined_.horizon() * entropy;
}

PolicyGradientReport PolicyGradientTrainer::Train(const DrawStarts& draw_starts, Key key,
                                                  const std::function<void()>& may_go_on,
                                                  std::optional<double> realised) {
  PolicyGradientReport report;
  const Weights untrained = Get();
  const double entropy = EntropyValue();
  draw_starts(key.Fold(kCheckStarts), check_starts_);
  check_key_ = key.Fold(kCheck);
  report.first_value = Check();
  if (trainings_ < options_.restart_trainings && options_.restarts > 0) {
    // The present policy and fresh ones, equally long; the best goes on.
    const Weights before = Get();
    double best_value =
        Ascend(options_.restart_steps, draw_starts, key.Fold(kFresh), may_go_on, report);
    Weights best = Get();
    for (int i = 1; i <= options_.restarts; ++i) {
      const Key fresh = key.Fold(kFresh).Fold(static_cast<uint64_t>(i));
      Set(before);
      policy_.mlp().Initialise(fresh, policy_.parameters());
      const double value = Ascend(options_.restart_steps, draw_starts, fresh, may_go_on, report);
      if (!(value > best_value)) continue;
      best_value = value;
      best = Get();
      report.restarted = true;
    }
    Set(best);
  }
  ++trainings_;
  report.value = Ascend(options_.steps, draw_starts, key.Fold(kAscent), may_go_on, report);
  const auto finite = static_cast<double>(report.steps - report.invalid_gradients);
  if (finite == 0) {
    throw RunError(fmt::format("policy: none of {} gradients was finite", report.steps));
  }
  report.gradient_norm /= finite;
  report.clipped_share /= finite;
  const double rollouts = static_cast<double>(report.steps) * imagined_.rollouts();
  report.invalid_rollouts /= rollouts;
  report.ended_rollouts /= rollouts;
  if (realised && options_.doubt > 0) {
    const double wrong = std::abs(report.first_value - entropy - *realised);
    report.doubted = !(report.value - report.first_value >= options_.doubt * wrong);
  }
  if (report.doubted) {
    Set(untrained);
    report.value = report.first_value;
  }
  return report;
}

bool PolicyGradientTrainer::IsCheckDue(int step, int steps, int checks) {
  const int64_t before = static_cast<int64_t>(step - 1) * checks / steps;
  return static_cast<int64_t>(step) * checks / steps != before;
}

double PolicyGradientTrainer::Ascend(int steps, const DrawStarts& draw_starts, Key key,
                                     const std::function<void()>& may_go_on,
                                     PolicyGradientReport& report) {
  std::ranges::fill(first_moment_, 0.0F);
  std::ranges::fill(second_moment_, 0.0F);
  double best_value = Check();
  Weights best = Get();
  for (int step = 1; step <= steps; ++step) {
    may_go_on();
    const Key step_key = key.Fold(static_cast<uint64_t>(step));
    draw_starts(step_key.Fold(kStarts), starts_);
    TakeStep(step, steps, step_key.Fold(kNoise), report);
    if (!IsCheckDue(step, steps, options_.checks)) continue;
    const double value = Check();
    if (!(value > best_value)) continue;
    best_value = value;
    best = Get();
  }
  if (options_.checks == 0) return Check();
  Set(best);
  return best_value;
}

void PolicyGradientTrainer::TakeStep(int step, int steps, Key key, PolicyGradientReport& report) {
  const size_t parameters = policy_.parameters().size();
  const ImaginedReturnReport imagined =
      imagined_.Gradient(starts_, key, std::span(gradient_).first(parameters), d_deviation_);
  ++report.steps;
  report.invalid_rollouts += imagined.invalid;
  report.ended_rollouts += imagined.ended;
  for (size_t i = 0; i < log_deviation_.size(); ++i) {
    // d R / d log s = s dR/ds, and every step's entropy grows by 1 with log s.
    const double by_return = std::exp(log_deviation_[i]) * d_deviation_[i];
    const double by_entropy = options_.entropy * imagined_.horizon();
    gradient_[parameters + i] = static_cast<float>(by_return + by_entropy);
  }
  double squares = 0;
  for (const float entry : gradient_) squares += static_cast<double>(entry) * entry;
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm)) {
    ++report.invalid_gradients;
    return;
  }
  report.gradient_norm += norm;
  const bool clip = options_.gradient_clip > 0 && norm > options_.gradient_clip;
  report.clipped_share += clip ? 1 : 0;
  // AdamStep descends.
  const auto scale = static_cast<float>(clip ? -options_.gradient_clip / norm : -1.0);
  for (float& entry : gradient_) entry *= scale;
  std::ranges::copy(policy_.parameters(), ascended_.begin());
  std::ranges::copy(log_deviation_, ascended_.begin() + static_cast<int64_t>(parameters));
  const double done = static_cast<double>(step) / steps;
  const double rate = options_.learning_rate * (1 - (1 - options_.final_rate) * done);
  AdamStep({.learning_rate = rate}, step, gradient_, first_moment_, second_moment_, ascended_);
  const auto network_end = ascended_.begin() + static_cast<int64_t>(parameters);
  Set({{ascended_.begin(), network_end}, {network_end, ascended_.end()}});
}

double PolicyGradientTrainer::Check() {
  return imagined_.Evaluate(check_starts_, check_key_).value + EntropyValue();
}

void PolicyGradientTrainer::Save(TensorFile& file) const {
  file.tensors["policy_trainer.trainings"] = {{1}, std::vector<int32_t>{trainings_}};
  if (!options_.gaussian) return;
  file.tensors["policy_trainer.log_deviation"] = {{policy_.action_dim()}, log_deviation_};
}

void PolicyGradientTrainer::Restore(const TensorFile& file) {
  const std::array<int64_t, 1> one = {1};
  const std::array<int64_t, 1> actions = {policy_.action_dim()};
  const int trainings = file.Ints("policy_trainer.trainings", one)[0];
  CheckCounters(file, "policy_trainer.trainings");
  if (options_.gaussian) {
    const std::vector<double>& deviation = file.Doubles("policy_trainer.log_deviation", actions);
    CheckFinite(file, "policy_trainer.log_deviation");
    log_deviation_ = deviation;
  }
  trainings_ = trainings;
}

}  // namespace foreplan

#include "foreplan/learners/local_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"

namespace foreplan {
namespace {

using Eigen::VectorXd;
using Clock = std::chrono::steady_clock;

}  // namespace

LocalModelsSetup LocalModelsSetup::Read(Config& config) {
  LocalModelsSetup setup;
  config.Read("local_models", setup.options);
  config.Read("local_models.step", setup.step);
  config.Read("local_models.fit", setup.fit);
  config.Read("local_models.initial_lqr", setup.initial_lqr);
  config.Read("local_models.initial_pd", setup.initial_pd);
  config.Read("local_models.mixture", setup.mixture);
  config.Read("local_models.network", setup.network);
  if (setup.options.prior == "network") {
    config.Read("model", setup.ensemble);
    config.Read("fit", setup.ensemble_fit);
  }
  if (setup.options.global_policy) {
    config.Read("policy", setup.policy);
    config.Read("policy.fit", setup.policy_fit);
  }
  return setup;
}

LocalModelsLearner::LocalModelsLearner(const LearnerContext& context, const LocalModelsSetup& setup)
    : context_(context),
      options_(setup.options),
      step_(setup.step),
      fit_(setup.fit),
      key_{static_cast<uint64_t>(context.run.seed), 0},
      nx_(context.task.spec().observation_dim()),
      nu_(context.task.spec().action_dim()),
      horizon_(context.task.episode_length()),
      data_(nx_, nu_) {
  if (context.task.measurement_noise() > 0) {
    throw InputError(
        fmt::format("task {}: measurement_noise: found {}, expected 0: local_models "
                    "does not know it",
                    context.task.name(), context.task.measurement_noise()));
  }
  MakeLearned(setup);
  MakeConditions(setup);
  for (int worker = 0; worker < context.executor->size(); ++worker) {
    std::vector<std::unique_ptr<System>>& systems = systems_.emplace_back();
    for (int i = 0; i < context.task.condition_count(); ++i) {
      systems.push_back(context.task.MakeSystem(i));
    }
  }
}

Policy& LocalModelsLearner::controller() {
  if (global_) return *global_;
  return conditions_.front()->policy;
}

// What all conditions share.
void LocalModelsLearner::MakeLearned(const LocalModelsSetup& setup) {
  const EnvironmentSpec& spec = context_.task.spec();
  if (options_.prior == "network") {
    trainer_ = std::make_unique<EnsembleTrainer>(
        std::make_shared<const Ensemble>(spec, context_.task.encoding(), setup.ensemble,
                                         key_.Fold(kNetwork)),
        setup.ensemble_fit, context_.executor);
  }
  if (options_.global_policy) {
    global_ = std::make_unique<NetworkPolicy>(nx_, spec.action_low, spec.action_high, setup.policy,
                                              key_.Fold(kGlobal));
    global_trainer_ = std::make_unique<PolicyTrainer>(*global_, setup.policy_fit);
  }
}

void LocalModelsLearner::MakeConditions(const LocalModelsSetup& setup) {
  const LocalCondition::Sizes sizes = {nx_, nu_, horizon_, options_.rollouts};
  for (int i = 0; i < context_.task.condition_count(); ++i) {
    const std::unique_ptr<System> system = context_.task.MakeSystem(i);
    auto condition = std::make_unique<LocalCondition>(i, sizes, context_.task.planning_reward(),
                                                      system->dependent_components(), fit_);
    condition->lambda = step_.first_lambda;
    system->Reset(key_.Fold(kStart).Fold(static_cast<uint64_t>(i)));
    VectorXd start(nx_);
    system->Observe({start.data(), static_cast<size_t>(nx_)});
    condition->policy =
        options_.initial == "lqr"
            ? MakeInitialLqrPolicy(setup.initial_lqr, start, nu_, context_.task.spec().dt, horizon_)
            : MakeInitialPdPolicy(setup.initial_pd, start, nu_, horizon_);
    const Key prior_key = key_.Fold(kPrior).Fold(static_cast<uint64_t>(i));
    if (options_.prior == "none") {
      condition->prior = std::make_unique<NoPrior>();
    } else if (options_.prior == "mixture") {
      condition->prior = std::make_unique<MixturePrior>(nx_, nu_, setup.mixture, prior_key);
    } else {
      condition->prior = std::make_unique<NetworkPrior>(
          [trainer = trainer_.get()] { return trainer->ensemble(); }, setup.network);
    }
    conditions_.push_back(std::move(condition));
  }
}

bool LocalModelsLearner::Step() {
  if (!sampled_ && Done()) {
    TestPolicies();
    return false;
  }
  // A run that stops in its fits goes on with the rollouts that it has.
  if (!sampled_) {
    Sample();
    LogRollouts();
    CheckRollouts();
    Keep();
    Tell(&RunObserver::OnStateComplete, *this);
  }
  Improve();
  Tell(&RunObserver::OnStateComplete, *this);
  return true;
}

void LocalModelsLearner::AddData(const Dataset& /*data*/) {
  throw InputError(
      "local_models: found data of others, expected none: it learns from rollouts of "
      "its own policies");
}

void LocalModelsLearner::Improve() {
  const Clock::time_point start = Clock::now();
  LearnNetwork();
  LinearizeGlobalPolicy();
  // One step back in one condition would leave the global policy where it is.
  const double setback = global_ ? std::numeric_limits<double>::infinity() : options_.setback;
  const auto count = static_cast<int>(conditions_.size());
  context_.executor->ParallelFor(count, [&](int task, int /*worker*/) {
    conditions_[static_cast<size_t>(task)]->Judge(setback);
  });
  AdaptSteps();
  context_.executor->ParallelFor(count, [&](int task, int /*worker*/) {
    conditions_[static_cast<size_t>(task)]->TakeStep(options_.kl_step, step_);
  });
  TrainGlobalPolicy();
  ++iterations_;
  sampled_ = false;
  times_.fitting_seconds += SecondsSince(start);
  Report(SecondsSince(start));
}

void LocalModelsLearner::LearnNetwork() {
  if (!trainer_) return;
  trainer_->Fit(data_, key_.Fold(kNetworkFit).Fold(static_cast<uint64_t>(iterations_)),
                {.stop = context_.stop, .progress = {}});
}

// What the steps stay near. An untrained global policy is nothing to stay near.
void LocalModelsLearner::LinearizeGlobalPolicy() {
  for (const auto& condition : conditions_) {
    condition->previous =
        FollowsGlobalPolicy() ? LinearizeAlong(*global_, condition->Fresh()) : condition->policy;
  }
}

bool LocalModelsLearner::GlobalPolicyActs() const {
  return options_.on_policy && FollowsGlobalPolicy();
}

bool LocalModelsLearner::FollowsGlobalPolicy() const {
  return global_ && iterations_ > options_.global_start;
}

void LocalModelsLearner::TrainGlobalPolicy() {
  if (!global_ || iterations_ < options_.global_start) return;
  supervision_.Clear();
  const Key key = key_.Fold(kGlobalFit).Fold(static_cast<uint64_t>(iterations_));
  for (const auto& condition : conditions_) {
    supervision_.Add(condition->policy, condition->Fresh(), global_trainer_->options().nearby,
                     key.Fold(static_cast<uint64_t>(condition->number) + 1));
  }
  const PolicyFitReport report = global_trainer_->Fit(supervision_, key.Fold(0));
  Record("global_policy.loss", report.loss);
}

// predicted = J(last policy; last model) - J(policy; last model), actual with J(policy; model), or
// as sampled for a step that is taken back. A global policy has one bound for all conditions.
void LocalModelsLearner::AdaptSteps() {
  double predicted = 0;
  double actual = 0;
  for (const auto& condition : conditions_) {
    LocalCondition::Improvement& found = condition->found;
    found.judged = condition->stepped;
    if (!found.judged) continue;
    found.predicted = condition->cost_before - condition->cost_predicted;
    found.actual = found.taken_back ? condition->accepted->cost - condition->sampled_cost
                                    : condition->cost_before - found.expected_cost;
    predicted += found.predicted / static_cast<double>(conditions_.size());
    actual += found.actual / static_cast<double>(conditions_.size());
  }
  if (!options_.adapt_step) return;
  const bool shared = FollowsGlobalPolicy();
  for (const auto& condition : conditions_) {
    const LocalCondition::Improvement& found = condition->found;
    if (!found.judged) continue;
    condition->step_multiplier =
        NextStepMultiplier(condition->step_multiplier, shared ? predicted : found.predicted,
                           shared ? actual : found.actual);
  }
}

}  // namespace foreplan

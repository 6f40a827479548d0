#include "foreplan/learners/local_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/learners/episode_row.h"
#include "foreplan/learners/local_models_condition.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Clock = std::chrono::steady_clock;

enum Stream : uint64_t {
  kStart,
  kRollout,
  kPrior,
  kTest,
  kNetwork,
  kNetworkFit,
  kGlobal,
  kGlobalFit,
  kGlobalTest
};

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

double MeanCost(const std::vector<LocalRollout>& rollouts) {
  double sum = 0;
  for (const LocalRollout& rollout : rollouts) sum -= rollout.episode.episode_return;
  return sum / static_cast<double>(rollouts.size());
}

const std::vector<std::string>& InitialNames() {
  static const std::vector<std::string> kNames = {"lqr", "pd"};
  return kNames;
}

const std::vector<std::string>& PriorNames() {
  static const std::vector<std::string> kNames = {"none", "mixture", "network"};
  return kNames;
}

NoisyAction Noisy(NetworkPolicy& policy) {
  return [&policy](int /*time*/, const VectorXd& observation, const VectorXd& noise) {
    return policy.MeanPlusNoise(observation, noise);
  };
}

}  // namespace

void LocalModelsOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, LocalExploration>> kExplorations = {
      {"policy", LocalExploration::kPolicy},
      {"fixed", LocalExploration::kFixed},
      {"none", LocalExploration::kNone}};
  visitor.Field("rollouts", rollouts, {1, 10000}, "per condition and iteration");
  visitor.Field("reuse", reuse, {1, 1000}, "iterations whose rollouts enter a fit");
  visitor.Field("kl_step", kl_step, {1e-9, 1e12}, "base of the KL bound, per time step");
  visitor.Field("adapt_step", adapt_step, "the bound, by predicted and actual improvement");
  visitor.Field("setback", setback, {0, std::numeric_limits<double>::infinity()},
                "rise of the sampled cost, by what was gained, at which a step is taken back");
  visitor.Choice("initial", initial, std::span(InitialNames()), "the first policies");
  visitor.Choice("prior", prior, std::span(PriorNames()), "of the local models");
  visitor.Choice("exploration", exploration, std::span(kExplorations), "noise of the rollouts");
  visitor.Field("fixed_deviation", fixed_deviation, {0, 1e12}, "of the fixed exploration noise");
  visitor.Field("noise_smoothing", noise_smoothing, {0, 1000},
                "of the exploration noise along time [steps]; breaks the Gaussian model");
  visitor.Field("test_rollouts", test_rollouts, {0, 10000},
                "with noise, per condition, after the last iteration");
  visitor.Field("global_policy", global_policy, "one network policy for all conditions");
  visitor.Field("global_start", global_start, {0, 1e9},
                "iterations of the local policies alone before it first learns");
  visitor.Field("on_policy", on_policy, "rollouts are of the global policy once it has learned");
}

double NextStepMultiplier(double multiplier, double predicted, double actual) {
  const double shortfall = predicted - actual;
  if (std::isnan(shortfall)) return std::clamp(0.1 * multiplier, 0.01, 10.0);  // both unknown
  const double factor = predicted / (2 * std::max(1e-4, shortfall));
  return std::clamp(std::clamp(factor, 0.1, 5.0) * multiplier, 0.01, 10.0);
}

struct LocalModelsLearner::Test {
  double clean_distance = 0;
  double clean_return = 0;  // NaN when it diverged
  bool clean_success = false;
  int noisy_successes = 0;
  double noisy_distance = 0;  // mean
  double noisy_return = 0;    // mean of those that did not diverge
  int diverged = 0;           // of those with noise
  GlobalTest global;
};

LocalModelsLearner::LocalModelsLearner(Config& config, const LearnerContext& context)
    : context_(context),
      options_(ReadOptions<LocalModelsOptions>(config, "local_models")),
      step_(ReadOptions<KlConstrainedOptions>(config, "local_models.step")),
      fit_(ReadOptions<LocalFitOptions>(config, "local_models.fit")),
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
  MakeConditions(config);
  for (int worker = 0; worker < context.executor.size(); ++worker) {
    std::vector<std::unique_ptr<System>>& systems = systems_.emplace_back();
    for (int i = 0; i < context.task.condition_count(); ++i) {
      systems.push_back(context.task.MakeSystem(i));
    }
  }
}

LocalModelsLearner::~LocalModelsLearner() = default;

Policy& LocalModelsLearner::controller() {
  if (global_) return *global_;
  return conditions_.front()->policy;
}

void LocalModelsLearner::MakeConditions(Config& config) {
  const auto lqr = ReadOptions<InitialLqrOptions>(config, "local_models.initial_lqr");
  const auto pd = ReadOptions<InitialPdOptions>(config, "local_models.initial_pd");
  const auto mixture = ReadOptions<MixturePriorOptions>(config, "local_models.mixture");
  const auto network = ReadOptions<NetworkPriorOptions>(config, "local_models.network");
  const EnvironmentSpec& spec = context_.task.spec();
  if (options_.prior == "network") {
    network_ = std::make_unique<Ensemble>(spec, context_.task.encoding(),
                                          ReadOptions<EnsembleOptions>(config, "model"),
                                          key_.Fold(kNetwork));
    trainer_ = std::make_unique<EnsembleTrainer>(*network_, ReadOptions<FitOptions>(config, "fit"),
                                                 context_.executor);
  }
  if (options_.global_policy) {
    global_ = std::make_unique<NetworkPolicy>(nx_, spec.action_low, spec.action_high,
                                              ReadOptions<NetworkPolicyOptions>(config, "policy"),
                                              key_.Fold(kGlobal));
    global_trainer_ = std::make_unique<PolicyTrainer>(
        *global_, ReadOptions<PolicyFitOptions>(config, "policy.fit"));
  }
  for (int i = 0; i < context_.task.condition_count(); ++i) {
    const std::unique_ptr<System> system = context_.task.MakeSystem(i);
    auto condition = std::make_unique<Condition>(
        nx_, nu_, horizon_, context_.task.planning_reward(), system->dependent_components(), fit_);
    condition->number = i;
    condition->lambda = step_.first_lambda;
    system->Reset(key_.Fold(kStart).Fold(static_cast<uint64_t>(i)));
    VectorXd start(nx_);
    system->Observe({start.data(), static_cast<size_t>(nx_)});
    condition->policy = options_.initial == "lqr"
                            ? MakeInitialLqrPolicy(lqr, start, nu_, spec.dt, horizon_)
                            : MakeInitialPdPolicy(pd, start, nu_, horizon_);
    const Key prior_key = key_.Fold(kPrior).Fold(static_cast<uint64_t>(i));
    if (options_.prior == "none") {
      condition->prior = std::make_unique<NoPrior>();
    } else if (options_.prior == "mixture") {
      condition->prior = std::make_unique<MixturePrior>(nx_, nu_, mixture, prior_key);
    } else {
      condition->prior = std::make_unique<NetworkPrior>(*network_, network);
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

bool LocalModelsLearner::Done() const {
  const RunOptions& run = context_.run;
  return (run.episodes > 0 && episodes_ >= run.episodes) ||
         (run.steps > 0 && total_steps_ >= run.steps);
}

void LocalModelsLearner::Improve() {
  const Clock::time_point start = Clock::now();
  LearnNetwork();
  LinearizeGlobalPolicy();
  const auto count = static_cast<int>(conditions_.size());
  context_.executor.ParallelFor(
      count, [&](int task, int /*worker*/) { Judge(*conditions_[static_cast<size_t>(task)]); });
  AdaptSteps();
  context_.executor.ParallelFor(
      count, [&](int task, int /*worker*/) { TakeStep(*conditions_[static_cast<size_t>(task)]); });
  TrainGlobalPolicy();
  ++iterations_;
  sampled_ = false;
  times_.fitting_seconds += SecondsSince(start);
  Report(SecondsSince(start));
}

// `rollouts` episodes of every condition, in any order: each has its own key.
void LocalModelsLearner::Sample() {
  const int rollouts = options_.rollouts;
  const auto count = static_cast<int>(conditions_.size()) * rollouts;
  for (const auto& condition : conditions_) {
    condition->rollouts.resize(static_cast<size_t>(rollouts));
  }
  const Key key = key_.Fold(kRollout).Fold(static_cast<uint64_t>(iterations_));
  const bool on_policy = GlobalPolicyActs();
  std::vector<NetworkPolicy> actors;  // one per worker
  while (on_policy && std::ssize(actors) < context_.executor.size()) actors.push_back(*global_);
  context_.executor.ParallelFor(count, [&](int task, int worker) {
    Condition& condition = *conditions_[static_cast<size_t>(task / rollouts)];
    System& system = *systems_[static_cast<size_t>(worker)][static_cast<size_t>(condition.number)];
    const Key own = key.Fold(static_cast<uint64_t>(task));
    condition.rollouts[static_cast<size_t>(task % rollouts)] =
        on_policy ? RollOut(context_.task, system, Noisy(actors[static_cast<size_t>(worker)]),
                            ExplorationNoise(nu_, horizon_, options_.noise_smoothing, own.Fold(0)),
                            own.Fold(1), context_.stop)
                  : RollOut(context_.task, system, condition.policy, Noise(condition, own.Fold(0)),
                            own.Fold(1), context_.stop);
  });
}

// In units of the policy's deviations.
MatrixXd LocalModelsLearner::Noise(const Condition& condition, Key key) const {
  switch (options_.exploration) {
    case LocalExploration::kPolicy:
      break;
    case LocalExploration::kNone:
      return MatrixXd::Zero(nu_, horizon_);
    case LocalExploration::kFixed: {
      MatrixXd noise = ExplorationNoise(nu_, horizon_, options_.noise_smoothing, key);
      for (int t = 0; t < horizon_; ++t) {
        noise.col(t) =
            condition.policy.InUnitsOfDeviation(t, options_.fixed_deviation * noise.col(t));
      }
      return noise;
    }
  }
  return ExplorationNoise(nu_, horizon_, options_.noise_smoothing, key);
}

// All of them, whatever they are good for, with the transitions that they had.
void LocalModelsLearner::LogRollouts() {
  for (const auto& condition : conditions_) {
    const std::string actor =
        fmt::format("{} {}", GlobalPolicyActs() ? "global" : "local", condition->number + 1);
    for (const LocalRollout& rollout : condition->rollouts) LogRollout(*condition, rollout, actor);
  }
}

void LocalModelsLearner::LogRollout(const Condition& condition, const LocalRollout& rollout,
                                    const std::string& actor) {
  const auto nx = static_cast<size_t>(nx_);
  const auto nu = static_cast<size_t>(nu_);
  const System& system = *systems_.front()[static_cast<size_t>(condition.number)];
  ++episodes_;
  Tell(&RunObserver::OnEpisodeBegin, EpisodeBegin{episodes_, actor, system});
  double sum = 0;
  for (int time = 0; time < rollout.episode.steps; ++time) {
    const auto t = static_cast<size_t>(time);
    const double* x = rollout.observations.data() + t * nx;
    const bool is_last = time + 1 == rollout.episode.steps;
    const StepEnd end = rollout.episode.terminated ? StepEnd::kTerminated : StepEnd::kTruncated;
    const EpisodeStep step{.time = time,
                           .observation = {x, nx},
                           .action = {rollout.actions.data() + t * nu, nu},
                           .next_observation = {x + nx, nx},
                           .reward = rollout.rewards[t],
                           .end = is_last ? end : StepEnd::kContinues};
    data_.Add({.observation = step.observation,
               .action = step.action,
               .next_observation = step.next_observation,
               .episode = episodes_,
               .reward = step.reward,
               .end = step.end});
    ++total_steps_;
    sum += step.reward;
    Tell(&RunObserver::OnStep, ObservedStep{step, episodes_, total_steps_, sum});
  }
  Tell(&RunObserver::OnEpisodeEnd,
       RowOf(rollout.episode, horizon_, episodes_, total_steps_, actor));
}

void LocalModelsLearner::CheckRollouts() const {
  for (const auto& condition : conditions_) {
    for (const LocalRollout& rollout : condition->rollouts) {
      const EpisodeResult& episode = rollout.episode;
      if (episode.steps == horizon_) continue;
      throw RunError(fmt::format(
          "condition {}: an episode ended after {} of {} steps{}{}: local models need whole ones",
          condition->number + 1, episode.steps, horizon_, episode.divergence.empty() ? "" : ": ",
          episode.divergence));
    }
  }
}

// What the fits read of the rollouts. Of earlier iterations there remain what may be used again.
void LocalModelsLearner::Keep() {
  const auto T = static_cast<size_t>(horizon_);
  const auto nx = static_cast<size_t>(nx_);
  const auto nu = static_cast<size_t>(nu_);
  for (const auto& condition : conditions_) {
    auto& [states, actions, jacobians] = condition->seen;
    const size_t kept =
        static_cast<size_t>(options_.rollouts) *
        std::min<size_t>(static_cast<size_t>(options_.reuse - 1), states.size() / ((T + 1) * nx));
    const auto shrink = [&](std::vector<double>& values, size_t size) {
      if (values.size() > kept * size) {
        values.erase(values.begin(), values.end() - static_cast<ptrdiff_t>(kept * size));
      }
    };
    shrink(states, (T + 1) * nx);
    shrink(actions, T * nu);
    jacobians.clear();
    condition->sampled_cost = MeanCost(condition->rollouts);
    condition->sampled_distance = 0;
    for (const LocalRollout& rollout : condition->rollouts) {
      condition->sampled_distance += JudgeRollout(rollout).first / options_.rollouts;
      states.insert(states.end(), rollout.observations.begin(), rollout.observations.end());
      actions.insert(actions.end(), rollout.actions.begin(), rollout.actions.end());
      jacobians.insert(jacobians.end(), rollout.jacobians.begin(), rollout.jacobians.end());
    }
    condition->rollouts.clear();
  }
  sampled_ = true;
}

void LocalModelsLearner::LearnNetwork() {
  if (!network_) return;
  trainer_->Fit(data_, key_.Fold(kNetworkFit).Fold(static_cast<uint64_t>(iterations_)));
}

// What the steps stay near. An untrained global policy is nothing to stay near.
void LocalModelsLearner::LinearizeGlobalPolicy() {
  for (const auto& condition : conditions_) {
    condition->previous =
        FollowsGlobalPolicy() ? LinearizeAlong(*global_, Fresh(*condition)) : condition->policy;
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
    supervision_.Add(condition->policy, Fresh(*condition), global_trainer_->options().nearby,
                     key.Fold(static_cast<uint64_t>(condition->number) + 1));
  }
  const PolicyFitReport report = global_trainer_->Fit(supervision_, key.Fold(0));
  Record("global_policy.loss", report.loss);
}

// Fits the dynamics to the rollouts and finds what the policy before the step costs under them.
void LocalModelsLearner::Judge(Condition& condition) {
  condition.found = {};
  MeasureLastFit(condition);
  condition.prior->Learn(Fresh(condition));
  TakeBackIfWorse(condition);
  FitDynamics(condition);
  LinearGaussianDynamics& dynamics = condition.fit.dynamics;
  condition.cost.Expand(Fresh(condition), condition.seen.jacobians, dynamics, condition.costs);
  // The last action is costed, but what it leads to is not.
  dynamics.steps.pop_back();
  condition.of_previous = PropagateDistribution(dynamics, condition.previous);
  condition.found.expected_cost =
      Sum(ExpectedCosts(condition.costs, condition.previous, condition.of_previous));
}

/// The newest rollouts of what is read: of this iteration, or of the policy that it went back to.
RolloutView LocalModelsLearner::Fresh(const Condition& condition) const {
  const auto count = static_cast<size_t>(options_.rollouts);
  const auto T = static_cast<size_t>(horizon_);
  const auto& [states, actions, jacobians] = condition.seen;
  return {.rollouts = options_.rollouts,
          .transitions = horizon_,
          .nx = nx_,
          .nu = nu_,
          .states = states.data() + states.size() - count * (T + 1) * static_cast<size_t>(nx_),
          .actions = actions.data() + actions.size() - count * T * static_cast<size_t>(nu_)};
}

void LocalModelsLearner::MeasureLastFit(Condition& condition) const {
  const RolloutView fresh = Fresh(condition);
  double squares = 0;
  for (size_t t = 0; t < condition.fit.dynamics.steps.size(); ++t) {
    const LinearGaussianTransition& f = condition.fit.dynamics.steps[t];
    for (int n = 0; n < fresh.rollouts; ++n) {
      const auto at = static_cast<int>(t);
      const Eigen::Map<const VectorXd> x(fresh.state(n, at), nx_);
      const Eigen::Map<const VectorXd> u(fresh.action(n, at), nu_);
      const Eigen::Map<const VectorXd> next(fresh.state(n, at + 1), nx_);
      squares += (f.A * x + f.B * u + f.c - next).squaredNorm();
    }
  }
  condition.found.previous_fit_error = std::sqrt(
      squares / std::max(1.0, static_cast<double>(fresh.rollouts * (horizon_ - 1) * nx_)));
}

// A bound that was too large leads where the model was wrong, and rollouts from there spoil the
// next fits: then better to try a smaller step from the policy before, with what was seen of that
// one.
void LocalModelsLearner::TakeBackIfWorse(Condition& condition) const {
  if (std::isinf(options_.setback) || global_) return;
  const double cost = condition.sampled_cost;
  std::optional<Accepted>& accepted = condition.accepted;
  if (!accepted) condition.first_cost = cost;
  const double gained = accepted ? std::max(0.0, condition.first_cost - accepted->cost) : 0;
  if (accepted && cost > accepted->cost + options_.setback * gained) {
    condition.found.taken_back = true;
    condition.policy = condition.previous = accepted->policy;
    condition.seen = accepted->seen;
    return;
  }
  accepted = {condition.policy, condition.seen, cost};
}

void LocalModelsLearner::FitDynamics(Condition& condition) {
  RolloutView all = Fresh(condition);
  all.states = condition.seen.states.data();
  all.actions = condition.seen.actions.data();
  all.rollouts = static_cast<int>(condition.seen.actions.size()) / (horizon_ * nu_);
  condition.fitter.Fit(all, *condition.prior, condition.fit);

  Improvement& found = condition.found;
  found.least_rank = condition.fit.steps.front().rank;
  for (const LocalFitStep& step : condition.fit.steps) {
    found.least_rank = std::min(found.least_rank, step.rank);
    found.largest_condition = std::max(found.largest_condition, step.condition);
  }
}

// predicted = J(last policy; last model) - J(policy; last model), actual with J(policy; model), or
// as sampled for a step that is taken back. A global policy has one bound for all conditions.
void LocalModelsLearner::AdaptSteps() {
  double predicted = 0;
  double actual = 0;
  for (const auto& condition : conditions_) {
    Improvement& found = condition->found;
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
    const Improvement& found = condition->found;
    if (!found.judged) continue;
    condition->step_multiplier =
        NextStepMultiplier(condition->step_multiplier, shared ? predicted : found.predicted,
                           shared ? actual : found.actual);
  }
}

// A step that fails keeps the policy.
void LocalModelsLearner::TakeStep(Condition& condition) {
  Improvement& found = condition.found;
  found.kl_bound = options_.kl_step * condition.step_multiplier * horizon_;
  condition.lqr.SetProblem(condition.fit.dynamics, condition.costs, condition.previous,
                           condition.of_previous);
  KlConstrainedOptions step = step_;
  step.first_lambda = condition.lambda;
  found.step = condition.lqr.Solve(found.kl_bound, step);
  condition.stepped = found.step.ok();
  if (!found.step.ok()) return;
  condition.policy = condition.lqr.Policy();
  condition.lambda = found.step.lambda;
  condition.cost_before = found.expected_cost;
  condition.cost_predicted = found.expected_cost + found.step.cost_change;
}

void LocalModelsLearner::Record(const std::string& name, double value) {
  Tell(&RunObserver::OnMetric, MetricRow{episodes_, total_steps_, name, value});
}

void LocalModelsLearner::Report(double seconds) {
  double error = 0;
  for (const auto& condition : conditions_) {
    const Improvement& found = condition->found;
    const std::string prefix = fmt::format("condition{}.", condition->number + 1);
    Record(prefix + "cost", condition->sampled_cost);
    if (context_.task.goal().exists()) {
      Record(prefix + context_.task.goal().options().distance, condition->sampled_distance);
    }
    Record(prefix + "expected_cost", found.expected_cost);
    if (found.judged) {
      Record(prefix + "predicted_improvement", found.predicted);
      Record(prefix + "actual_improvement", found.actual);
      Record(prefix + "previous_fit_rmse", found.previous_fit_error);
      error += found.previous_fit_error / static_cast<double>(conditions_.size());
    }
    if (condition->accepted) Record(prefix + "taken_back", found.taken_back ? 1 : 0);
    Record(prefix + "step_multiplier", condition->step_multiplier);
    Record(prefix + "kl_bound", found.kl_bound);
    Record(prefix + "kl", found.step.kl);
    Record(prefix + "lambda", found.step.lambda);
    Record(prefix + "step_ok", found.step.ok() ? 1 : 0);
    Record(prefix + "backward_passes", found.step.passes);
    Record(prefix + "least_rank", found.least_rank);
    Record(prefix + "largest_condition", found.largest_condition);
  }
  if (iterations_ > 1) Record(std::string(kModelErrorMetric), error);
  Record("iteration.seconds", seconds);
}

// One rollout without noise and some with white noise, of every condition.
void LocalModelsLearner::TestPolicies() {
  const int each = 1 + options_.test_rollouts;
  std::vector<LocalRollout> rollouts(conditions_.size() * static_cast<size_t>(each));
  context_.executor.ParallelFor(static_cast<int>(rollouts.size()), [&](int task, int worker) {
    rollouts[static_cast<size_t>(task)] = RollOutTest(task / each, task % each, worker);
  });
  tests_.assign(conditions_.size(), {});
  for (size_t i = 0; i < rollouts.size(); ++i) {
    Test& test = tests_[i / static_cast<size_t>(each)];
    const LocalRollout& rollout = rollouts[i];
    const auto [distance, success] = JudgeRollout(rollout);
    const bool diverged = !rollout.episode.divergence.empty();
    if (i % static_cast<size_t>(each) == 0) {  // the one without noise
      test.clean_return =
          diverged ? std::numeric_limits<double>::quiet_NaN() : rollout.episode.episode_return;
      test.clean_distance = distance;
      test.clean_success = success;
    } else {
      test.diverged += diverged ? 1 : 0;
      test.noisy_return += diverged ? 0 : rollout.episode.episode_return;
      test.noisy_distance += distance / options_.test_rollouts;
      test.noisy_successes += success ? 1 : 0;
    }
  }
  for (Test& test : tests_) {
    // NaN when all of them diverged; 0 without any.
    if (options_.test_rollouts > 0) test.noisy_return /= options_.test_rollouts - test.diverged;
  }
  if (!global_) return;
  const Key key = key_.Fold(kGlobalTest);
  for (size_t i = 0; i < tests_.size(); ++i) {
    tests_[i].global = TestGlobalPolicy(*systems_[0][i], key.Fold(0).Fold(i));
  }
  unseen_tests_.clear();
  for (int i = 0; i < context_.task.unseen_count(); ++i) {
    unseen_tests_.push_back(TestGlobalPolicy(*context_.task.MakeUnseenSystem(i),
                                             key.Fold(1).Fold(static_cast<uint64_t>(i))));
  }
}

// Distance from the goal where the last action is costed, or where the episode ended, and success.
std::pair<double, bool> LocalModelsLearner::JudgeRollout(const LocalRollout& rollout) const {
  const Goal& goal = context_.task.goal();
  if (!goal.exists()) return {0, false};
  const std::span<const double> last(
      rollout.observations.data() +
          static_cast<ptrdiff_t>(std::min(rollout.episode.steps, horizon_ - 1)) * nx_,
      static_cast<size_t>(nx_));
  return {goal.Distance(last), rollout.episode.steps == horizon_ && goal.Reached(last)};
}

// As many rollouts as the local policies' tests.
LocalModelsLearner::GlobalTest LocalModelsLearner::TestGlobalPolicy(System& system, Key key) {
  GlobalTest test;
  for (int number = 0; number <= options_.test_rollouts; ++number) {
    const Key own = key.Fold(static_cast<uint64_t>(number));
    const auto [distance, success] =
        JudgeRollout(RollOut(context_.task, system, Noisy(*global_), TestNoise(number, own.Fold(0)),
                             own.Fold(1), context_.stop));
    if (number == 0) {
      test.distance = distance;
      test.success = success;
    } else {
      test.noisy_successes += success ? 1 : 0;
    }
  }
  return test;
}

// The first of a policy's tests is without noise.
MatrixXd LocalModelsLearner::TestNoise(int number, Key key) const {
  if (number == 0) return MatrixXd::Zero(nu_, horizon_);
  return ExplorationNoise(nu_, horizon_, options_.noise_smoothing, key);
}

LocalRollout LocalModelsLearner::RollOutTest(int condition, int number, int worker) {
  const Key key =
      key_.Fold(kTest).Fold(static_cast<uint64_t>(condition)).Fold(static_cast<uint64_t>(number));
  const auto at = static_cast<size_t>(condition);
  return RollOut(context_.task, *systems_[static_cast<size_t>(worker)][at], conditions_[at]->policy,
                 TestNoise(number, key.Fold(0)), key.Fold(1), context_.stop);
}

nlohmann::ordered_json LocalModelsLearner::UnseenResults() const {
  double distance = 0;
  int successes = 0;
  int noisy_successes = 0;
  for (const GlobalTest& test : unseen_tests_) {
    distance += test.distance / static_cast<double>(unseen_tests_.size());
    successes += test.success ? 1 : 0;
    noisy_successes += test.noisy_successes;
  }
  const GoalOptions& goal = context_.task.goal().options();
  return {{"conditions", unseen_tests_.size()},
          {goal.success, successes},
          {goal.success + "_noisy", noisy_successes},
          {"mean_" + goal.distance, distance}};
}

nlohmann::ordered_json LocalModelsLearner::Results() const {
  nlohmann::ordered_json conditions = nlohmann::ordered_json::array();
  for (size_t i = 0; i < tests_.size(); ++i) {
    const Test& test = tests_[i];
    nlohmann::ordered_json result = {{"condition", i + 1},
                                     {"clean_return", test.clean_return},
                                     {"noisy_return", test.noisy_return}};
    if (test.diverged > 0) result["noisy_diverged"] = test.diverged;
    if (context_.task.goal().exists()) {
      const GoalOptions& goal = context_.task.goal().options();
      result["clean_" + goal.distance] = test.clean_distance;
      result["noisy_" + goal.distance] = test.noisy_distance;
      result[goal.success + "_clean"] = test.clean_success;
      result[goal.success + "_noisy"] = test.noisy_successes;
      if (global_) {
        result["global_" + goal.distance] = test.global.distance;
        result["global_" + goal.success] = test.global.success;
        result["global_" + goal.success + "_noisy"] = test.global.noisy_successes;
      }
    }
    conditions.push_back(std::move(result));
  }
  nlohmann::ordered_json results = {{"iterations", iterations_},
                                    {"seconds_per_iteration_outside_simulator",
                                     iterations_ == 0 ? 0 : times_.fitting_seconds / iterations_},
                                    {"conditions", std::move(conditions)}};
  if (!unseen_tests_.empty()) results["unseen"] = UnseenResults();
  return results;
}

TensorFile LocalModelsLearner::Model() const {
  TensorFile file;
  for (const auto& condition : conditions_) {
    condition->policy.Save(fmt::format("condition{}.", condition->number + 1), file);
  }
  if (global_) global_->Save("global_policy.", file);
  return file;
}

}  // namespace foreplan

#include "foreplan/experiments/evaluation.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/learners/episode_row.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/planners/planner.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {
namespace {

// Training derives its keys from stream 0 of the seed.
constexpr uint64_t kEvaluationStream = 0x65766c6e;

/// Tells an observer of the episodes that a policy plays.
class ObservedEpisode {
 public:
  ObservedEpisode(std::shared_ptr<RunObserver> observer, const Policy& policy)
      : observer_(std::move(observer)), planning_(dynamic_cast<const PlanningPolicy*>(&policy)) {}

  void Begin(const EpisodeBegin& episode) {
    number_ = episode.episode;
    controller_ = episode.controller;
    return_ = 0;
    if (observer_) observer_->OnEpisodeBegin(episode);
  }
  void Step(const EpisodeStep& step) {
    ++total_steps_;
    return_ += step.reward;
    if (!observer_) return;
    const bool has_plan = planning_ != nullptr && planning_->new_plan() != nullptr;
    if (has_plan) observer_->OnPlan(planning_->made_plan());
    observer_->OnStep({step, number_, total_steps_, return_});
  }
  void End(const EpisodeResult& result, int length) {
    if (!observer_) return;
    observer_->OnEpisodeEnd(RowOf(result, length, number_, total_steps_, controller_));
  }

 private:
  std::shared_ptr<RunObserver> observer_;
  const PlanningPolicy* planning_;  // null: it does not plan
  std::string controller_;
  int number_ = 0;
  int total_steps_ = 0;
  double return_ = 0;
};

}  // namespace

Evaluation Evaluate(const std::string& controller, const Task& task, Policy& policy,
                    const EvaluationRequest& request, const std::stop_token& stop,
                    const std::function<void(const EpisodeStep&)>& observe) {
  Evaluation evaluation;
  evaluation.controller = controller;
  ObservedEpisode observed(request.observer, policy);
  double seconds = 0;  // of the decisions
  int decisions = 0;
  const std::shared_ptr<Environment> environment = task.MakeEnvironment();
  const Key key{static_cast<uint64_t>(request.seed), kEvaluationStream};
  for (int episode = request.first; episode < request.first + request.episodes; ++episode) {
    observed.Begin({episode + 1, controller, *environment, true});
    const EpisodeResult result =
        RunEpisode(task, *environment, policy, key.Fold(static_cast<uint64_t>(episode)),
                   task.episode_length(), [&](const EpisodeStep& step) {
                     if (stop.stop_requested()) throw Interrupted("interrupted");
                     if (request.progress) {
                       const double share = (step.time + 1.0) / task.episode_length();
                       request.progress(episode - request.first + share);
                     }
                     seconds += step.decision_seconds;
                     ++decisions;
                     observed.Step(step);
                     if (observe) observe(step);
                   });
    observed.End(result, task.episode_length());
    if (request.progress) request.progress(episode - request.first + 1);
    const bool diverged = !result.divergence.empty();
    if (diverged || !result.failure.empty()) {
      throw RunError(fmt::format("{}: episode {} of controller '{}' {}: {}", task.name(),
                                 episode + 1, controller, diverged ? "diverged" : "failed",
                                 diverged ? result.divergence : result.failure));
    }
    evaluation.returns.push_back(result.episode_return);
    evaluation.steps.push_back(result.steps);
  }
  evaluation.summary = Summarize(evaluation.returns);
  evaluation.ms_per_decision = decisions > 0 ? 1e3 * seconds / decisions : 0;
  return evaluation;
}

std::unique_ptr<MpcController> MakeTrueModelController(Experiment& experiment,
                                                       std::shared_ptr<Executor> executor,
                                                       const std::stop_token& stop) {
  const Task& task = experiment.task;
  const auto dynamics = DynamicsOf(*task.MakeSystem());
  auto planner =
      MakePlanner(experiment.run.planner, experiment.config,
                  {dynamics, task.shared_planning_reward(), task.spec(), std::move(executor)});
  const MpcControl control = {
      .deadline = DecisionTime(ReadOptions<MpcOptions>(experiment.config, "mpc").deadline_ms),
      .stop = stop};
  if (dynamics->observation_is_state()) {
    return std::make_unique<MpcController>(std::move(planner), dynamics, control);
  }
  return std::make_unique<OracleOf<MpcController>>(std::move(planner), dynamics, control);
}

Evaluation EvaluateController(const std::string& controller, Experiment& experiment,
                              const std::string& run_folder, const EvaluationRequest& request,
                              const std::shared_ptr<Executor>& executor,
                              const std::stop_token& stop) {
  const Task& task = experiment.task;
  if (controller == kLearned || controller == kSampled) {
    const auto learner =
        MakeLearner(experiment.run.algorithm, experiment.config,
                    {.task = task, .run = experiment.run, .executor = executor, .stop = stop});
    if (!run_folder.empty()) {
      Checkpoint checkpoint = ReadCheckpoint(
          RunDirectory::Open(run_folder), task.spec().observation_dim(), task.spec().action_dim());
      learner->Restore(checkpoint.state, std::move(checkpoint.data));
    }
    if (controller == kLearned) {
      return Evaluate(controller, task, learner->controller(), request, stop);
    }
    Policy* sampled = learner->sampled_controller();
    if (sampled == nullptr) {
      throw InputError(
          fmt::format("evaluation: found {}, which learns no policy with noise, expected a run of "
                      "one that does",
                      experiment.run.algorithm));
    }
    return Evaluate(controller, task, *sampled, request, stop);
  }
  if (controller == kTrueModel) {
    const auto mpc = MakeTrueModelController(experiment, executor, stop);
    return Evaluate(controller, task, *mpc, request, stop);
  }
  const auto policy = MakeBasePolicy(controller, task.spec());
  return Evaluate(controller, task, *policy, request, stop);
}

}  // namespace foreplan

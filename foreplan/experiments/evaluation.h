// Measures controllers on a task, without learning.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/executor.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/learners/run_observer.h"
#include "foreplan/policies/policy.h"
#include "foreplan/runs/summary.h"
#include "foreplan/systems/task.h"

namespace foreplan {

inline constexpr const char* kLearned = "learned";
inline constexpr const char* kSampled = "sampled";  // a policy that was learned, with its noise
inline constexpr const char* kTrueModel = "true_model";

struct EvaluationRequest {
  int episodes = 10;
  int first = 0;  // episode: each starts elsewhere
  int seed = 0;   // of start states and of random controllers; training uses other keys
  /// Told of the episodes, their plans and steps, with numbers from 1; null: nobody is.
  std::shared_ptr<RunObserver> observer = {};
  std::function<void(double episodes)> progress = {};  // told how many are done, a step at a time
};

struct Evaluation {
  std::string controller;
  std::vector<double> returns;  // per episode, raw
  std::vector<int> steps;       // per episode
  Summary summary;              // of the returns
  double ms_per_decision = 0;
};

/// Plays episodes from fresh starts: equal requests give equal starts whatever the controller.
/// `observe` sees every step. Throws RunError when the system diverges and Interrupted when `stop`
/// is set.
Evaluation Evaluate(const std::string& controller, const Task& task, Policy& policy,
                    const EvaluationRequest& request = {}, const std::stop_token& stop = {},
                    const std::function<void(const EpisodeStep&)>& observe = {});

/// The experiment's planner on the task's own system: by its states, or where the system is learned
/// by observations on its model. Decisions throw Interrupted when `stop` is set.
std::unique_ptr<MpcController> MakeTrueModelController(Experiment& experiment,
                                                       std::shared_ptr<Executor> executor,
                                                       const std::stop_token& stop);

/// The controller kLearned (of the run in `run_folder`; of the experiment's run.model when that is
/// ""), kSampled (the policy of the run's model file; of a run alone), kTrueModel
/// (MakeTrueModelController) or a base policy.
Evaluation EvaluateController(const std::string& controller, Experiment& experiment,
                              const std::string& run_folder, const EvaluationRequest& request,
                              const std::shared_ptr<Executor>& executor,
                              const std::stop_token& stop);

}  // namespace foreplan

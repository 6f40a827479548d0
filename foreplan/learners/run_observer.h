// Those who look on while a learner runs: logs, displays, checkpoints, recorders, programs.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/runs/run_log.h"
#include "foreplan/systems/environment.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

class Learner;

/// An episode that begins.
struct EpisodeBegin {
  int episode = 0;         // from 1; those of the base policy count
  std::string controller;  // what acts: "uniform", "mpc", ...
  const Environment& environment;
  bool may_be_last = false;  // the run may be over with it, by the bounds of its options
  int condition = 0;         // of the task, in which it begins; from 0
  /// Where a local policy expects it to go, by the dynamics fitted before; empty: nobody says.
  /// Takes some milliseconds.
  std::function<TrajectoryDistribution()> expected = {};
};

/// A step that was taken.
struct ObservedStep {
  const EpisodeStep& step;
  int episode = 0;            // from 1
  int total_steps = 0;        // of the run, this one included
  double episode_return = 0;  // so far
};

/// Told everything in the order it happens, by the thread that runs the learner; what it is given
/// is valid during the call. What it throws ends the run as a RunError that names the function, as
/// an error of the learner's own would.
/// Each function does nothing unless it is overridden.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  virtual void OnEpisodeBegin(const EpisodeBegin& /*episode*/) {}
  /// The plan whose first action the step after this executes.
  virtual void OnPlan(const MadePlan& /*made*/) {}
  virtual void OnStep(const ObservedStep& /*step*/) {}
  virtual void OnFitBegin() {}
  /// A fit has ended.
  virtual void OnFit(const FitMetrics& /*metrics*/) {}
  virtual void OnMetric(const MetricRow& /*metric*/) {}
  virtual void OnEpisodeEnd(const EpisodeRow& /*episode*/) {}
  /// The learner's state is complete, Learner::Save may be called: after every episode, before
  /// anything is made of it, and once more after what was.
  virtual void OnStateComplete(const Learner& /*learner*/) {}
};

// What is told, for messages.
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const EpisodeBegin&)) {
  return "OnEpisodeBegin";
}
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const MadePlan&)) { return "OnPlan"; }
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const ObservedStep&)) {
  return "OnStep";
}
constexpr const char* NameOf(void (RunObserver::* /*event*/)()) { return "OnFitBegin"; }
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const FitMetrics&)) { return "OnFit"; }
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const MetricRow&)) {
  return "OnMetric";
}
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const EpisodeRow&)) {
  return "OnEpisodeEnd";
}
constexpr const char* NameOf(void (RunObserver::* /*event*/)(const Learner&)) {
  return "OnStateComplete";
}

}  // namespace foreplan

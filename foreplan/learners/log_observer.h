// Writes down what a learner tells, and shows it.
#pragma once

#include "foreplan/learners/learner.h"
#include "foreplan/learners/run_observer.h"
#include "foreplan/runs/progress.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {

/// Keeps episodes and metrics in a log; the log's display, if it has one, shows every step.
class LogObserver final : public RunObserver {
 public:
  /// The log must outlive the observer. `run` and `episode_length`, of the task [steps], are what a
  /// display shows the progress by.
  explicit LogObserver(RunLog& log, const RunOptions& run = {}, int episode_length = 0);

  void OnEpisodeBegin(const EpisodeBegin& episode) override;
  void OnPlan(const MadePlan& made) override;
  void OnStep(const ObservedStep& step) override;
  void OnFitBegin() override;
  void OnMetric(const MetricRow& metric) override;
  void OnEpisodeEnd(const EpisodeRow& episode) override;

 private:
  RunLog& log_;
  ProgressState shown_;
  int plans_ = 0;  // of this episode
  double planning_seconds_ = 0;
};

}  // namespace foreplan

#include "foreplan/learners/log_observer.h"

namespace foreplan {

LogObserver::LogObserver(RunLog& log, const RunOptions& run, int episode_length) : log_(log) {
  shown_.episodes = run.episodes;
  shown_.steps = episode_length;
  shown_.max_total_steps = run.steps;
}

void LogObserver::OnEpisodeBegin(const EpisodeBegin& /*episode*/) {
  plans_ = 0;
  planning_seconds_ = 0;
}

void LogObserver::OnPlan(const MadePlan& made) {
  ++plans_;
  planning_seconds_ += made.plan.seconds;
}

void LogObserver::OnStep(const ObservedStep& step) {
  shown_.episode = step.episode;
  shown_.step = step.step.time + 1;
  shown_.total_steps = step.total_steps;
  shown_.episode_return = step.episode_return;
  shown_.decisions_per_second = planning_seconds_ > 0 ? plans_ / planning_seconds_ : 0;
  shown_.activity = "acting";
  log_.ShowStep(shown_);
}

void LogObserver::OnFitBegin() {
  if (shown_.episode == 0) return;  // nothing has been shown yet
  shown_.activity = "fitting";
  log_.ShowStep(shown_);
}

void LogObserver::OnMetric(const MetricRow& metric) {
  log_.AddMetric(metric.episode, metric.total_steps, metric.name, metric.value);
}

void LogObserver::OnEpisodeEnd(const EpisodeRow& episode) { log_.AddEpisode(episode); }

}  // namespace foreplan

// What a learner says while it runs: episodes, metrics, progress.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/runs/progress.h"

namespace foreplan {

/// How an episode ended; by these names in episodes.csv and in a run's JSON.
enum class EpisodeEnd : uint8_t {
  kLength,      // "length": its time was over
  kTerminated,  // "terminated": the task's end
  kCutOff,      // "cut_off": the run's bound of steps was reached
  kDiverged,    // "diverged": the simulator or the reward came to no number
  kFailed,      // "failed": the environment could not be reached any more
};
[[nodiscard]] std::string_view NameOf(EpisodeEnd end);
/// Its return can be compared with those of other episodes.
[[nodiscard]] constexpr bool IsWhole(EpisodeEnd end) {
  return end == EpisodeEnd::kLength || end == EpisodeEnd::kTerminated;
}

/// One row of episodes.csv. Holds no times, dates or paths: equal runs give equal bytes.
struct EpisodeRow {
  int episode = 0;         // from 1; those of the base policy count
  std::string controller;  // "uniform", "mpc", ...
  int steps = 0;
  int total_steps = 0;        // of the run so far, this episode included
  double episode_return = 0;  // so far, of an episode that is not whole
  EpisodeEnd end = EpisodeEnd::kLength;
  std::string note;  // "" or what diverged or failed
};

/// One row of metrics.csv (long form), e.g. {3, 450, "fit.holdout_rmse", 0.012}.
struct MetricRow {
  int episode = 0;
  int total_steps = 0;
  std::string name;
  double value = 0;
};

/// The metric that the progress display shows as the model's error.
inline constexpr std::string_view kModelErrorMetric = "model.one_step_rmse";

/// Keeps all rows of a run.
class RunLog {
 public:
  /// `progress` may be null (no display) and must outlive the log.
  explicit RunLog(Progress* progress = nullptr) : progress_(progress) {}

  void AddEpisode(EpisodeRow row);
  void AddMetric(int episode, int total_steps, std::string_view name, double value);
  /// Between steps, for the display only. The returns of the episodes and the model's error are
  /// filled in from the rows.
  void ShowStep(ProgressState state);

  [[nodiscard]] const std::vector<EpisodeRow>& episodes() const { return episodes_; }
  [[nodiscard]] const std::vector<MetricRow>& metrics() const { return metrics_; }

  /// A place between rows: what stands before it is written already, say.
  struct Position {
    size_t episodes = 0;
    size_t metrics = 0;
    bool operator==(const Position&) const = default;
  };
  [[nodiscard]] Position end() const { return {episodes_.size(), metrics_.size()}; }
  [[nodiscard]] std::span<const EpisodeRow> EpisodesFrom(Position from) const {
    return std::span(episodes_).subspan(from.episodes);
  }
  [[nodiscard]] std::span<const MetricRow> MetricsFrom(Position from) const {
    return std::span(metrics_).subspan(from.metrics);
  }

  /// CSV text, numbers in the shortest form that reads back to the same bits.
  [[nodiscard]] std::string EpisodesCsv() const;
  [[nodiscard]] std::string MetricsCsv() const;
  /// What rows from a position on append to such a text.
  [[nodiscard]] std::string EpisodesCsvFrom(Position from) const;
  [[nodiscard]] std::string MetricsCsvFrom(Position from) const;
  /// The inverse; throws InputError (name, line, found, expected). Replaces all rows.
  void RestoreCsv(std::string_view episodes_csv, std::string_view metrics_csv,
                  std::string_view source);

 private:
  Progress* progress_;
  ProgressState shown_;                // what ShowStep said last
  std::optional<double> last_return_;  // of the last whole episode
  std::vector<double> returns_;        // of every episode, NaN where it is not whole
  std::optional<double> model_error_;  // the newest
  std::vector<EpisodeRow> episodes_;
  std::vector<MetricRow> metrics_;
};

}  // namespace foreplan

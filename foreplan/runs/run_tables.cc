#include "foreplan/runs/run_tables.h"

#include <fmt/format.h>

#include <string>

#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/tensorboard.h"

namespace foreplan {
namespace {

// Metadata of a checkpoint: marks of the files of the same names.
constexpr const char* kEpisodesKey = "episodes.csv";
constexpr const char* kMetricsKey = "metrics.csv";

AppendedFile::Mark ReadMark(const TensorFile& checkpoint, const char* key) {
  return ParseMark(CheckpointText(checkpoint, key),
                   fmt::format("{}: metadata '{}'", checkpoint.source, key));
}

}  // namespace

void RunTables::Begin(const RunDirectory& directory, const RunLog& log) {
  episodes_.Begin(directory.episodes_file(), log.EpisodesCsv());
  metrics_.Begin(directory.metrics_file(), log.MetricsCsv());
  events_.Begin(directory.events_file(), TensorBoardEvents(log));
  written_ = events_written_ = log.end();
}

void RunTables::Append(const RunDirectory& directory, const RunLog& log) {
  episodes_.Append(directory.episodes_file(), log.EpisodesCsvFrom(written_));
  written_.episodes = log.end().episodes;
  metrics_.Append(directory.metrics_file(), log.MetricsCsvFrom(written_));
  written_.metrics = log.end().metrics;
  events_.Append(directory.events_file(), TensorBoardEventsFrom(log, events_written_));
  events_written_ = log.end();
}

void RunTables::Save(TensorFile& checkpoint) const {
  checkpoint.metadata[kEpisodesKey] = MarkText(episodes_.mark());
  checkpoint.metadata[kMetricsKey] = MarkText(metrics_.mark());
}

void RunTables::Resume(const RunDirectory& directory, const TensorFile& checkpoint, RunLog& log) {
  const std::string episodes =
      episodes_.Resume(directory.episodes_file(), ReadMark(checkpoint, kEpisodesKey));
  const std::string metrics =
      metrics_.Resume(directory.metrics_file(), ReadMark(checkpoint, kMetricsKey));
  log.RestoreCsv(episodes, metrics, directory.path().string());
  events_.Begin(directory.events_file(), TensorBoardEvents(log));
  written_ = events_written_ = log.end();
}

}  // namespace foreplan

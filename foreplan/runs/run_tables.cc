#include "foreplan/runs/run_tables.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "foreplan/core/read_file.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/tensorboard.h"

namespace foreplan {
namespace {

// Metadata of a checkpoint: marks of the files of the same names.
constexpr const char* kEpisodesKey = "episodes.csv";
constexpr const char* kMetricsKey = "metrics.csv";

/// [s since 1970]
double Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

/// The events of a run that goes on keep their times.
std::string EventsToGoOnFrom(const std::filesystem::path& file, const RunLog& log) {
  std::error_code error;
  if (std::filesystem::is_regular_file(file, error)) {
    const std::string written = ReadFile(file);
    const std::string_view kept = TensorBoardEventsOf(log, written);
    if (!kept.empty()) return std::string(kept);
  }
  return TensorBoardEvents(log, Now());
}

AppendedFile::Mark ReadMark(const TensorFile& checkpoint, const char* key) {
  return ParseMark(CheckpointText(checkpoint, key),
                   fmt::format("{}: metadata '{}'", checkpoint.source, key));
}

}  // namespace

void RunTables::Begin(const RunDirectory& directory, const RunLog& log) {
  episodes_.Begin(directory.episodes_file(), log.EpisodesCsv());
  metrics_.Begin(directory.metrics_file(), log.MetricsCsv());
  events_.Begin(directory.events_file(), TensorBoardEvents(log, Now()));
  written_ = events_written_ = log.end();
}

void RunTables::Append(const RunDirectory& directory, const RunLog& log) {
  episodes_.Append(directory.episodes_file(), log.EpisodesCsvFrom(written_));
  written_.episodes = log.end().episodes;
  metrics_.Append(directory.metrics_file(), log.MetricsCsvFrom(written_));
  written_.metrics = log.end().metrics;
  events_.Append(directory.events_file(), TensorBoardEventsFrom(log, events_written_, Now()));
  events_written_ = log.end();
}

void RunTables::Save(TensorFile& checkpoint) const {
  checkpoint.metadata[kEpisodesKey] = MarkText(episodes_.mark());
  checkpoint.metadata[kMetricsKey] = MarkText(metrics_.mark());
}

void RunTables::Check(const RunDirectory& directory, const TensorFile& checkpoint) {
  static_cast<void>(
      AppendedFile::Read(directory.episodes_file(), ReadMark(checkpoint, kEpisodesKey)));
  static_cast<void>(
      AppendedFile::Read(directory.metrics_file(), ReadMark(checkpoint, kMetricsKey)));
}

void RunTables::Resume(const RunDirectory& directory, const TensorFile& checkpoint, RunLog& log) {
  const std::string episodes =
      episodes_.Resume(directory.episodes_file(), ReadMark(checkpoint, kEpisodesKey));
  const std::string metrics =
      metrics_.Resume(directory.metrics_file(), ReadMark(checkpoint, kMetricsKey));
  log.RestoreCsv(episodes, metrics, directory.path().string());
  events_.Begin(directory.events_file(), EventsToGoOnFrom(directory.events_file(), log));
  written_ = events_written_ = log.end();
}

}  // namespace foreplan

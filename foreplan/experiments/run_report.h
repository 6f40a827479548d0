// What can be shown of a run on disk, also of one that goes on.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/data/episode_recording.h"
#include "foreplan/experiments/animation.h"
#include "foreplan/runs/decision_times.h"
#include "foreplan/runs/report.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/run_log.h"
#include "foreplan/systems/task.h"

namespace foreplan {

struct StoredRun {
  RunDirectory directory;
  ReportContent content;
  RunLog log;  // of episodes that are whole rows by now
};

/// Throws InputError naming the file and what is wrong with it. What a run has not written yet, or
/// was not left the time to write, is missing: its times are 0, its status says that it runs or
/// that it was stopped.
StoredRun ReadStoredRun(const std::filesystem::path& folder);

/// What takes more than the tables: levels, decision times, the model judged, the replay of the
/// newest recorded episode. What cannot be made is left out, the replay with its reason. Throws
/// Interrupted when asked to stop.
void AddFigures(const RunDirectory& directory, const Task& task, const DecisionTimes& decisions,
                double most_mb, const std::stop_token& stop, ReportContent& content);
/// The same from what stands in the run's folder, with the task of its configuration.
void AddFigures(StoredRun& run, double most_mb, const std::stop_token& stop);

/// Of the run's episodes, by number.
std::vector<std::filesystem::path> RecordingsOf(const RunDirectory& directory);
/// Of that episode, none: the newest. Throws InputError naming those that are there.
std::filesystem::path RecordingOf(const RunDirectory& directory, std::optional<int> episode);

/// An episode and its replay.
struct RecordedAnimation {
  EpisodeRecording recording;
  Animation animation;
};

/// `source`: the folder of a run, of which `episode` is shown, none: the newest that was recorded;
/// or a recording's file. Its task is that of the run in whose folder it lies, else the one of its
/// name. Throws InputError as MakeAnimation does.
RecordedAnimation AnimationOf(const std::filesystem::path& source, std::optional<int> episode,
                              double most_mb = kAnimationMb);

/// A page that shows one episode, and opens offline.
std::string AnimationPage(const RecordedAnimation& recorded);

}  // namespace foreplan

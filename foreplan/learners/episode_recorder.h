// Keeps whole episodes in files: what happened, what was planned, what was imagined.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/episode_recording.h"
#include "foreplan/learners/run_observer.h"
#include "foreplan/models/imagined_rollout.h"
#include "foreplan/systems/task.h"

namespace foreplan {

enum class RecordedEpisodes {
  kNone,
  kLast,  // of a run
  kAll,
};

/// Section [record] of a run's config.
struct RecordOptions {
  RecordedEpisodes episodes = RecordedEpisodes::kLast;
  int futures = 8;  // sampled of every plan, 0 ... 1000
  /// Of one recording, before it is packed [MB of 10^6 bytes], 0.1 ... 1000. Beyond it fewer plans
  /// keep what was imagined of them; steps and plans are kept whatever they need.
  double mb = 64;

  void Visit(OptionsVisitor& visitor);
};

/// Writes `<folder>/episode_<number>.safetensors.gz` when an episode ends: of every one, or of each
/// that may be the run's last, which then replaces those before it. What it imagines is of keys of
/// its own, so a run is the same bit for bit with and without it. An episode whose steps and plans
/// alone need more than kLargestEpisodeRecording is not recorded.
class EpisodeRecorder final : public RunObserver {
 public:
  /// The folder is made when it is needed. seed: of the run. Throws InputError naming the option
  /// that is out of range.
  EpisodeRecorder(Task task, int seed, std::filesystem::path folder, const RecordOptions& options);

  void OnEpisodeBegin(const EpisodeBegin& episode) override;
  void OnPlan(const MadePlan& made) override;
  void OnStep(const ObservedStep& step) override;
  /// Throws RunError when the disk refuses.
  void OnEpisodeEnd(const EpisodeRow& episode) override;

 private:
  void KeepPlan(const MadePlan& made);
  void Imagine(const MadePlan& made);
  void ImagineFutures(const MadePlan& made);
  void HoldBound();

  Task task_;
  std::filesystem::path folder_;
  RecordOptions options_;
  int seed_;
  Key key_;
  bool is_recording_ = false;
  EpisodeRecording recording_;
  std::optional<ImaginedRollout> rollout_;  // of the model that planned last
  std::vector<double> candidates_;          // of the last plan: [futures x horizon x nu]
};

/// `<folder>/episode_000012.safetensors.gz`.
std::filesystem::path RecordingFile(const std::filesystem::path& folder, int episode);
/// Whole recordings in a folder, by number; none where there is no folder.
std::vector<std::filesystem::path> RecordingsIn(const std::filesystem::path& folder);
/// Removes recordings of episodes after `last`, and what a killed program left half written.
void RemoveRecordingsAfter(const std::filesystem::path& folder, int last);

}  // namespace foreplan

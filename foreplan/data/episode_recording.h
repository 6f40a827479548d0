// The recording of an episode: what happened, what was planned and what was imagined, in one file
// that other programs read (docs/recording.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "foreplan/data/component.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/transition.h"

namespace foreplan {

/// Everything of one episode of T steps and P plans over a horizon of H steps. It holds no wall
/// times, dates or paths: equal episodes give equal files.
struct EpisodeRecording {
  // Which one it is.
  std::string program;  // version of foreplan that recorded it
  std::string task;
  std::string controller;  // "uniform", "mpc", ...
  int episode = 0;         // from 1
  int seed = 0;
  int condition = 0;                   // of the task; from 0
  double dt = 0;                       // between steps [s]
  std::vector<Component> observation;  // names and units: [no]
  std::vector<Component> action;       // [nu]
  std::vector<Component> state;        // [ns]; empty: the environment shows none
  double episode_return = 0;           // sum of the rewards
  std::string end;                     // "length", "terminated", "cut_off", "diverged", "failed"
  std::string note;                    // what diverged or failed, or ""

  // What happened. Row t is what was there before step t; the last row, what is left at the end.
  std::vector<double> observations;  // as measured: [(T + 1) x no]
  std::vector<double> states;        // [(T + 1) x ns]
  std::vector<double> actions;       // [T x nu]
  std::vector<double> rewards;       // [T]
  std::vector<StepEnd> ends;         // [T]; the last alone is an end

  // What was planned; all empty when nothing was.
  int horizon = 0;                       // H
  std::vector<int32_t> plans;            // the plan that step t executes, -1: none: [T]
  std::vector<int32_t> first_steps;      // the step at which a plan was made: [P]
  std::vector<float> planned_actions;    // [P x H x nu]
  std::vector<double> expected_returns;  // what the model says they earn, -inf: unknown: [P]

  // What was imagined, of every so manyth plan: row i is of plan i * imagined_every.
  int imagined_every = 1;
  /// Along the expected next states: [ceil(P / imagined_every) x (H + 1) x no].
  std::vector<float> imagined;
  int futures_every = 1;
  int futures = 0;  // F: of each of these plans
  /// Rollouts of the planner's best candidates, each by a particle of its own:
  /// [ceil(P / futures_every) x F x (H + 1) x no].
  std::vector<float> future_observations;
  /// -inf: not finite: [ceil(P / futures_every) x F].
  std::vector<float> future_returns;

  // Of local policies: where the trajectories were expected, as a normal distribution of the
  // observation at steps 0 ... D - 1; empty where there is none.
  std::vector<double> expected_mean;        // [D x no]
  std::vector<double> expected_covariance;  // [D x no x no]

  [[nodiscard]] int64_t steps() const { return std::ssize(rewards); }
  [[nodiscard]] int64_t plan_count() const { return std::ssize(first_steps); }
  /// Of the numbers above.
  [[nodiscard]] size_t bytes() const;
};

/// Of a file, unpacked; what is longer is neither written nor read [bytes].
inline constexpr size_t kLargestEpisodeRecording = size_t{1} << 30;

/// safetensors in gzip, replaced atomically. Throws RunError when the disk refuses or the recording
/// is too large.
void WriteEpisodeRecording(const std::filesystem::path& file, const EpisodeRecording& recording);

/// Throws InputError naming file, tensor or key, found and expected: for what is no recording, cut
/// off or damaged, of a later version of the format, of contradictory sizes, or holds NaN.
EpisodeRecording ReadEpisodeRecording(const std::filesystem::path& file);

/// Its steps as logged transitions. `columns` choose components by name, see ReadRecording.
Recording AsRecording(const std::string& source, const EpisodeRecording& recording,
                      const RecordingColumns& columns);

}  // namespace foreplan

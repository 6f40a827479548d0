// Recorded episodes played again: does the task's system do what the recording says?
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/data/log_options.h"
#include "foreplan/data/transition.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// One episode of T steps with full states, in the task's components. NaN: not recorded.
struct RecordedEpisode {
  std::vector<double> states;        // [(T + 1) x ns]
  std::vector<double> observations;  // [(T + 1) x no]
  std::vector<double> actions;       // [T x nu]
  std::vector<double> rewards;       // [T]
  std::vector<StepEnd> ends;         // [T]; empty: not recorded

  [[nodiscard]] int64_t steps() const { return std::ssize(rewards); }
};

struct StateRecording {
  std::vector<RecordedEpisode> episodes;
  std::vector<std::string> notes;  // what was left out or assumed
};

/// `file`: the recording of an episode with states (.safetensors.gz); a JSON object with `steps` T,
/// `initial` {qpos, qvel, obs} and flat rows `qpos`, `qvel`, `obs`, `action`, `reward`, as
/// scripts/record_dm_control.py writes; or a log with columns by the names of the state's and, if
/// it has them, of the observation's components. What a JSON state leaves out is as after a reset.
/// Throws InputError naming file, found and expected.
[[nodiscard]] StateRecording ReadStates(const Task& task, const std::filesystem::path& file,
                                        const LogOptions& options = {});

enum class ReplayMode {
  kOneStep,      // from every recorded state
  kFreeRunning,  // from the first of every episode
};

/// |found - recorded|, the largest over all steps; NaN: nowhere recorded.
struct ReplayErrors {
  static constexpr double kNotRecorded = std::numeric_limits<double>::quiet_NaN();

  std::vector<double> state;        // [ns], in each component's unit
  std::vector<double> observation;  // [no]
  double reward = kNotRecorded;
  int64_t steps = 0;
  std::optional<int64_t> wrong_ends = {};  // terminated or not; none: ends are not recorded
  int64_t diverged =
      0;  // steps that the system does not take; an episode that runs freely ends there
  std::string first_divergence = {};  // "step 3 of episode 1: ..."
};

/// Rewards are the task's, of the system's own observations. Throws InputError where the task's
/// environment shows no states.
[[nodiscard]] ReplayErrors Replay(const Task& task, const StateRecording& recording,
                                  ReplayMode mode);

}  // namespace foreplan

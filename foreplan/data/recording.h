// Logged transitions of a system, from files of others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "foreplan/data/component.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/log_options.h"

namespace foreplan {

/// Numbers beyond this, in size, are refused: their squares would be no numbers for a network.
inline constexpr double kLargestNumber = 1e15;

/// What is known of the numbers in a file before it is read.
struct RecordingColumns {
  std::vector<std::string> observation;  // names in order; empty: as the file has them
  std::vector<std::string> action;
  double dt = 0;  // seconds between rows; 0: not known
  /// Units they must have, in that order; empty, or an empty one: any.
  std::vector<std::string> observation_units = {};
  std::vector<std::string> action_units = {};
};

struct Recording {
  /// Without transitions yet.
  Recording(std::vector<std::string> observation_names, std::vector<std::string> action_names);

  /// `at`: where the transition begins in the file. An episode that another one follows has ended:
  /// where the file does not say how, it is truncated.
  void Add(const Transition& transition, int64_t at);
  /// Where that transition begins in the file, e.g. "line 57", "step 3 of episode 2 of 10".
  [[nodiscard]] std::string PlaceOf(int64_t row) const;

  Dataset data;  // episodes count from 1
  std::vector<std::string> observation;
  std::vector<std::string> action;
  std::vector<std::string> observation_units;  // of each, as the file has them; "": not known
  std::vector<std::string> action_units;
  double dt = 0;                   // [s]; 0: the file does not say
  int episodes = 0;                // with at least one transition
  std::vector<std::string> notes;  // what was left out or assumed, for the user to read
  std::vector<int64_t> places;     // [size], where transitions begin; counted in `place_unit`
  std::vector<double> times;       // [size], when they begin [s]; empty: the file does not say
  std::vector<double> next_times;  // [size], and when they end
  /// "row" of an array, from 0; "step" of an episode, from 0; "line" of a table, from 1.
  std::string place_unit = "row";
};

/// With the file's units, where it says them.
[[nodiscard]] std::vector<Component> ObservationOf(const Recording& recording);
[[nodiscard]] std::vector<Component> ActionOf(const Recording& recording);

/// Reads a file by its suffix:
///   .csv .tsv .txt   a header and a row per step (table_recording.h)
///   .npz             arrays (array_recording.h)
///   .hdf5 .h5        Minari: groups episode_0 ..., each with observations [T+1 x no] and actions
///                    [T x nu]; or the arrays of .npz at the top. A folder of Minari counts as the
///                    data/main_data.hdf5 in it.
///   .safetensors     transitions that a run or a fit wrote; or the folder of their segments
///   .safetensors.gz  the recording of an episode (episode_recording.h)
/// Rewards are read where a column or array `reward` or `rewards` has them. A flag that says so
/// makes an end a termination (terminated, terminal, done, ...) or a truncation (truncated,
/// timeout, ...); of both in one row, `done` gives way. All other ends, also the file's, are
/// truncations. A quaternion whose sign changes from one row to the next (q and -q are one
/// rotation) is carried on with one sign; a note says so. Then numbers are converted to the units
/// that are wanted (unit_conversion.h), and rows resampled where a period is (resampling.h). Throws
/// InputError naming file, row and column, what was found and what was expected; an error that says
/// so where this build lacks the library for a format.
Recording ReadRecording(const std::filesystem::path& file, const RecordingColumns& columns,
                        const LogOptions& options = {});

}  // namespace foreplan

// Logged transitions of a system, from files of others.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "foreplan/data/dataset.h"

namespace foreplan {

/// Numbers beyond this, in size, are refused: their squares would be no numbers for a network.
inline constexpr double kLargestNumber = 1e15;

/// What is known of the numbers in a file before it is read.
struct RecordingColumns {
  std::vector<std::string> observation;  // names in order; empty: as the file has them
  std::vector<std::string> action;
  double dt = 0;  // seconds between rows; 0: not known
};

struct Recording {
  Dataset data;  // episodes count from 1
  std::vector<std::string> observation;
  std::vector<std::string> action;
  double dt = 0;                   // [s]; 0: the file does not say
  int episodes = 0;                // with at least one transition
  std::vector<std::string> notes;  // what was left out or assumed, for the user to read
};

/// Reads a file by its suffix:
///   .csv .tsv .txt   a header and a row per step; observation and action columns by name, further
///                    columns `next_<observation>`, `episode`, `time`. Without names given, actions
///                    are the columns `action`, `action_*`, `u`, `u<number>`.
///   .npz             arrays observations [N x no] and actions [N x nu], with next_observations
///                    [N x no], or episode [N], terminations [N], truncations [N]; or observations
///                    [E x T+1 x no] and actions [E x T x nu]; or one trajectory, [T+1 x no] and
///                    [T x nu].
///   .hdf5 .h5        Minari: groups episode_0 ..., each with observations [T+1 x no] and actions
///                    [T x nu]; or the arrays of .npz at the top. A folder of Minari counts as the
///                    data/main_data.hdf5 in it.
///   .safetensors     the names and shapes of a file in data/ of a run.
/// The folder of a run or fit, or its data/, counts as all transitions in it.
/// Throws InputError naming file, row and column, what was found and what was expected; an error
/// that says so where this build lacks the library for a format.
Recording ReadRecording(const std::filesystem::path& file, const RecordingColumns& columns);

}  // namespace foreplan

// Transitions in arrays, as NPZ and HDF5 files hold them.
#pragma once

#include <string>
#include <vector>

#include "foreplan/data/named_array.h"
#include "foreplan/data/recording.h"

namespace foreplan {

/// Understands, by their names (array_names.h) and shapes:
///   observations [N x no], actions [N x nu], with next_observations [N x no], or with episode [N]
///   or flags (terminations, truncations, dones, ...) [N] of the rows that end an episode; rewards
///   [N]; and time [N], whose gaps and falls begin episodes where there is no array of episodes
///   observations [E x T+1 x no], actions [E x T x nu], and flags [E x T] where episodes end early
///   one trajectory, observations [T+1 x no] and actions [T x nu]
///   groups episode_0/, episode_1/, ..., each with such a trajectory (Minari)
/// Observations and actions may be dictionaries, observations/position ... (array_dictionaries.h);
/// their components are called by their paths, and chosen by them where `columns` name such ones.
/// Throws InputError naming `source`, array and row.
Recording ReadArrayRecording(const std::string& source, std::vector<NamedArray> arrays,
                             const RecordingColumns& columns, const LogOptions& options = {});

}  // namespace foreplan

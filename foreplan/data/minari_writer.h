// Data sets in HDF5 as other programs for offline learning keep them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "foreplan/data/recording.h"

namespace foreplan {

/// Flat arrays as D4RL has them (Fu et al. 2020): `observations`, `next_observations` [N x no],
/// `actions` [N x nu], `rewards` [N] where all are known, `terminals`, `timeouts` [N]. Read back to
/// the same bits. Throws RunError when the disk refuses, InputError in a build without HDF5.
void WriteFlatHdf5(const std::filesystem::path& file, const Recording& recording);

/// The name with "_" where Minari takes no such letter in an id.
[[nodiscard]] std::string AsMinariName(std::string name);

/// What a Minari data set says beside its episodes.
struct MinariDescription {
  std::string algorithm;            // what chose the actions; "": not known
  std::vector<double> action_low;   // [nu], bounds; empty: of the data
  std::vector<double> action_high;  // [nu]
};

/// The folder of a data set of Minari 0.5 (Younis et al. 2024), `<name>-v<number>`, which is its
/// id: data/metadata.json and data/main_data.hdf5, with a group per episode of `observations` [T +
/// 1 x no], `actions` [T x nu], `rewards`, `terminations`, `truncations` [T]. Spaces are boxes of
/// doubles, of observations unbounded. The folder appears whole or not at all. Throws InputError
/// for a name that Minari does not take, episodes whose steps do not follow each other, and rewards
/// that are not known.
void WriteMinari(const std::filesystem::path& folder, const Recording& recording,
                 const MinariDescription& description);

}  // namespace foreplan

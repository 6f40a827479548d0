// Arrays of numbers as NPZ and HDF5 files hold them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace foreplan {

struct NamedArray {
  std::string name;            // as the file has it, e.g. "episode_3/observations"
  std::vector<int64_t> shape;  // at least one entry
  std::vector<double> values;  // row-major, in double whatever the file holds
};

/// Which arrays of a file are wanted, by their names; others are not read.
using ArrayFilter = std::function<bool(const std::string& name)>;

/// Throws InputError: no NPZ file, cut off, damaged, an array that holds no numbers; in a build
/// without libzip always.
std::vector<NamedArray> ReadNpz(const std::filesystem::path& file, const ArrayFilter& wanted);

/// Data sets at any depth, in the order of the file's names with numbers in them by their value
/// (episode_2 before episode_10). Throws InputError: no HDF5 file, cut off, damaged, a wanted name
/// that is a group or holds no numbers; in a build without HDF5 always.
std::vector<NamedArray> ReadHdf5(const std::filesystem::path& file, const ArrayFilter& wanted);

}  // namespace foreplan

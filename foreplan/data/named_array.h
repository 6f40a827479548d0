// Arrays of numbers as NPZ and HDF5 files hold them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace foreplan {

struct NamedArray {
  std::string name;            // as the file has it, e.g. "episode_3/observations"
  std::vector<int64_t> shape;  // at least one entry
  std::vector<double> values;  // row-major, in double whatever the file holds
};

/// The arrays of a file that hold transitions (array_names.h), and those at the paths `others`;
/// what else it has is not read, nor are times that are no numbers. Throws InputError: no NPZ file,
/// cut off, damaged, an array that holds no numbers; in a build without libzip always.
std::vector<NamedArray> ReadNpz(const std::filesystem::path& file,
                                const std::vector<std::string>& others = {});

/// The same of an HDF5 file, in the order of names with numbers in them by their value (episode_2
/// before episode_10). The file is read by a program of its own (hdf5_program/), which a damaged
/// file may end or hold up; this process only sees the arrays, or that there are none. Throws
/// InputError: no HDF5 file, cut off, damaged, a name of transitions that is a group or holds no
/// numbers; in a build without HDF5 always.
std::vector<NamedArray> ReadHdf5(const std::filesystem::path& file,
                                 const std::vector<std::string>& others = {});

/// An HDF5 file of these arrays, doubles, replaced atomically; equal arrays give equal bytes.
/// Arrays of names that flag ends (array_names.h) become booleans, and an array "group@name" of one
/// whole number an attribute of that group, behind whose arrays it stands. Written by a program of
/// its own, as files are read: this library does not know HDF5. Throws RunError when the disk
/// refuses, InputError in a build without HDF5.
void WriteHdf5(const std::filesystem::path& file, const std::vector<NamedArray>& arrays);

}  // namespace foreplan

// Where the programs are that know HDF5 (hdf5_program/).
#pragma once

#include <string>

namespace foreplan {

/// Beside the program or library, where it was built; else where it was installed, seen from there
/// or from the root. Throws InputError, which starts with `source`, where it is not found.
[[nodiscard]] std::string Hdf5Program(const std::string& name, const std::string& source);

}  // namespace foreplan

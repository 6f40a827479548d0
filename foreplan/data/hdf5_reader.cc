// HDF5 files, through a program of their own (hdf5_program/): the HDF5 library runs into
// segmentation faults, endless loops and assertions on damaged files.
#include <fmt/format.h>

#include "foreplan/core/error.h"
#include "foreplan/data/named_array.h"

#ifdef FOREPLAN_HAVE_HDF5
#include <chrono>

#include "foreplan/data/array_program.h"
#include "foreplan/data/hdf5_programs.h"

namespace foreplan {

std::vector<NamedArray> ReadHdf5(const std::filesystem::path& file,
                                 const std::vector<std::string>& others) {
  constexpr std::chrono::seconds kPatience{60};
  const std::string source = file.string();
  std::vector<std::string> command = {Hdf5Program("foreplan_hdf5_reader", source), source};
  command.insert(command.end(), others.begin(), others.end());
  return ReadArraysFromProgram(command, source, kPatience);
}

}  // namespace foreplan

#else

namespace foreplan {

std::vector<NamedArray> ReadHdf5(const std::filesystem::path& file,
                                 const std::vector<std::string>& /*others*/) {
  throw InputError(fmt::format(
      "{}: found an HDF5 file, but this build of foreplan has no HDF5 to read it; expected CSV",
      file.string()));
}

}  // namespace foreplan

#endif

// HDF5 files, through a program of their own (hdf5_program/): the HDF5 library runs into
// segmentation faults, endless loops and assertions on damaged files.
#include <fmt/format.h>

#include "foreplan/core/error.h"
#include "foreplan/data/named_array.h"

#ifdef FOREPLAN_HAVE_HDF5
#include <fmt/ranges.h>

#include <chrono>
#include <system_error>

#include "foreplan/core/own_folders.h"
#include "foreplan/data/array_program.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// Beside the program or library, where it was built; else where it was installed, seen from there
/// or from the root.
std::string ReaderProgram(const std::string& source) {
  constexpr const char* kName = "foreplan_hdf5_reader";
  std::vector<fs::path> folders;
  for (const fs::path& own : OwnFolders()) {
    folders.push_back(own);
    folders.push_back(own / FOREPLAN_PROGRAMS_FROM_BIN);
    folders.push_back(own / FOREPLAN_PROGRAMS_FROM_LIB);
  }
  folders.emplace_back(FOREPLAN_PROGRAMS_DIR);
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (fs::is_regular_file(folder / kName, error)) return (folder / kName).string();
  }
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.lexically_normal().string());
  throw InputError(fmt::format("{}: its reader '{}' was not found, expected it in one of {}",
                               source, kName, fmt::join(names, ", ")));
}

}  // namespace

std::vector<NamedArray> ReadHdf5(const fs::path& file, const std::vector<std::string>& others) {
  constexpr std::chrono::seconds kPatience{60};
  const std::string source = file.string();
  std::vector<std::string> command = {ReaderProgram(source), source};
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

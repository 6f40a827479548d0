#include "foreplan/data/hdf5_programs.h"

#ifdef FOREPLAN_HAVE_HDF5
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/own_folders.h"

namespace foreplan {

namespace fs = std::filesystem;

std::string Hdf5Program(const std::string& name, const std::string& source) {
  std::vector<fs::path> folders;
  for (const fs::path& own : OwnFolders()) {
    folders.push_back(own);
    folders.push_back(own / FOREPLAN_PROGRAMS_FROM_BIN);
    folders.push_back(own / FOREPLAN_PROGRAMS_FROM_LIB);
  }
  folders.emplace_back(FOREPLAN_PROGRAMS_DIR);
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (fs::is_regular_file(folder / name, error)) return (folder / name).string();
  }
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.lexically_normal().string());
  throw InputError(fmt::format("{}: the program '{}' was not found, expected it in one of {}",
                               source, name, fmt::join(names, ", ")));
}

}  // namespace foreplan

#endif

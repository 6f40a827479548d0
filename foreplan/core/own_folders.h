// Where this code lies on disk, for files that are installed with it.
#pragma once

#include <filesystem>
#include <vector>

namespace foreplan {

/// The folder of the file this code is in (a program, a library or a module of Python), then that
/// of the program that runs; symbolic links followed. Never empty.
std::vector<std::filesystem::path> OwnFolders();

}  // namespace foreplan

// Copies of the files that a task needs, beside its text.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace foreplan {

/// Writes a file in a folder that may have to be made. Throws RunError when the disk refuses.
void WriteInFolder(const std::filesystem::path& file, const std::string& bytes);

/// Writes the files below `directory`/`name`; where something else has that name already, below
/// name_2, name_3, ... The name it got. Throws RunError when the disk refuses.
std::filesystem::path WriteFolder(const std::filesystem::path& directory, const std::string& name,
                                  const std::map<std::filesystem::path, std::string>& files);

/// Copies a file to `directory` as `name`; where another file has that name already, as name_2,
/// name_3, ... A file that lies in `directory` stays. Its name from there. Throws InputError where
/// it cannot be read, RunError when the disk refuses.
std::string CopyOf(const std::filesystem::path& file, const std::filesystem::path& directory,
                   const std::filesystem::path& name);

}  // namespace foreplan

// Which folders of runs somebody means.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace foreplan {

struct RunFolders {
  std::vector<std::filesystem::path> runs;     // each once, as it was written first
  std::vector<std::filesystem::path> skipped;  // what a pattern matched besides
};

/// Whether `name` is the name of nothing that is there and has characters of a pattern: '*' for any
/// characters but '/', '?' for one, "[ab]" for one of these.
[[nodiscard]] bool IsPattern(const std::string& name);

/// Names stand for themselves, whatever they are; patterns for the runs that they match, in the
/// order of their bytes. Two names of one folder, also by a link, count once. Throws InputError for
/// a pattern that matches no run.
[[nodiscard]] RunFolders FindRunFolders(const std::vector<std::string>& names);

}  // namespace foreplan

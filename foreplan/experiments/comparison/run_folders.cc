#include "foreplan/experiments/comparison/run_folders.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

bool IsThere(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool IsRun(const fs::path& folder) {
  try {
    static_cast<void>(RunDirectory::Open(folder));
    return true;
  } catch (const InputError&) {
    return false;
  }
}

/// What glob(3) found; freed with it.
class Matches {
 public:
  explicit Matches(const std::string& pattern) {
    code_ = glob(pattern.c_str(), 0, nullptr, &found_);
    if (code_ != 0 && code_ != GLOB_NOMATCH) {
      throw InputError(fmt::format("{}: cannot be looked up, expected folders that can be read",
                                   Quoted(pattern)));
    }
  }
  ~Matches() { globfree(&found_); }
  Matches(const Matches&) = delete;
  Matches& operator=(const Matches&) = delete;

  [[nodiscard]] std::vector<fs::path> Sorted() const {
    std::vector<std::string> names;
    if (code_ == 0) names.assign(found_.gl_pathv, found_.gl_pathv + found_.gl_pathc);
    std::ranges::sort(names);
    return {names.begin(), names.end()};
  }

 private:
  glob_t found_{};
  int code_ = 0;
};

/// Where it is, whatever it is called.
fs::path PlaceOf(const fs::path& folder) {
  std::error_code error;
  const fs::path place = fs::canonical(folder, error);
  return error ? folder.lexically_normal() : place;
}

}  // namespace

bool IsPattern(const std::string& name) {
  return name.find_first_of("*?[") != std::string::npos && !IsThere(name);
}

RunFolders FindRunFolders(const std::vector<std::string>& names) {
  RunFolders folders;
  std::set<fs::path> seen;
  const auto add = [&seen](std::vector<fs::path>& list, const fs::path& folder) {
    if (seen.insert(PlaceOf(folder)).second) list.push_back(folder);
  };
  for (const std::string& name : names) {
    if (!IsPattern(name)) {
      add(folders.runs, name);
      continue;
    }
    const std::vector<fs::path> matches = Matches(name).Sorted();
    if (std::ranges::none_of(matches, IsRun)) {
      throw InputError(fmt::format("{}: found {} of that pattern, expected folders of runs",
                                   Quoted(name),
                                   matches.empty() ? "nothing" : "no run among what is there"));
    }
    for (const fs::path& match : matches) {
      add(IsRun(match) ? folders.runs : folders.skipped, match);
    }
  }
  return folders;
}

}  // namespace foreplan

#include "foreplan/systems/task_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "foreplan/core/error.h"
#include "foreplan/core/own_folders.h"

namespace foreplan {

namespace fs = std::filesystem;

fs::path TasksDirectory() {
  std::error_code error;
  const char* chosen = std::getenv("FOREPLAN_TASKS_DIR");
  if (chosen != nullptr && *chosen != '\0') {
    if (fs::is_directory(chosen, error)) return chosen;
    throw InputError(
        fmt::format("FOREPLAN_TASKS_DIR: found '{}', expected the directory of tasks", chosen));
  }
  std::vector<fs::path> folders;
  // Beside this code, not beside whatever program runs it: tasks are of the same version.
  const fs::path own = OwnFolders().front();
  folders.push_back(own / FOREPLAN_TASKS_FROM_BIN);
  folders.push_back(own / FOREPLAN_TASKS_FROM_LIB);
  folders.insert(folders.end(), {FOREPLAN_TASKS_DIR, FOREPLAN_INSTALLED_TASKS_DIR});
  for (const fs::path& folder : folders) {
    if (fs::is_directory(folder, error)) return folder.lexically_normal();
  }
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.lexically_normal().string());
  throw InputError(
      fmt::format("tasks: expected their directory in one of {}; set FOREPLAN_TASKS_DIR",
                  fmt::join(names, ", ")));
}

std::vector<std::string> TaskFileNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(TasksDirectory())) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace foreplan

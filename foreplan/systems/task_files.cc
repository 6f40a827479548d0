#include "foreplan/systems/task_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "foreplan/core/error.h"

namespace foreplan {

std::filesystem::path TasksDirectory() {
  std::error_code error;
  const char* chosen = std::getenv("FOREPLAN_TASKS_DIR");
  if (chosen != nullptr && *chosen != '\0') {
    if (std::filesystem::is_directory(chosen, error)) return chosen;
    throw InputError(
        fmt::format("FOREPLAN_TASKS_DIR: found '{}', expected the directory of tasks", chosen));
  }
  for (const char* built_in : {FOREPLAN_TASKS_DIR, FOREPLAN_INSTALLED_TASKS_DIR}) {
    if (std::filesystem::is_directory(built_in, error)) return built_in;
  }
  throw InputError(fmt::format(
      "tasks: found neither '{}' nor '{}', expected a directory of tasks; set FOREPLAN_TASKS_DIR",
      FOREPLAN_TASKS_DIR, FOREPLAN_INSTALLED_TASKS_DIR));
}

std::vector<std::string> TaskFileNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(TasksDirectory())) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace foreplan

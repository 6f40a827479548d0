// Where the shipped task files are.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace foreplan {

/// The first that exists of: $FOREPLAN_TASKS_DIR, the source tree this library was built from, its
/// place of installation. Throws InputError when the variable names no directory or none exists.
std::filesystem::path TasksDirectory();

/// Names of the task files there (without ".toml"), sorted.
std::vector<std::string> TaskFileNames();

}  // namespace foreplan

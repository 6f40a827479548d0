// Where the shipped task files are.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace foreplan {

/// The first that exists of: $FOREPLAN_TASKS_DIR; the installed ones, seen from where this code
/// lies, so that an installation can be moved; the source tree that it was built from; the place it
/// was configured to be installed in. Throws InputError when the variable names no directory or
/// none exists.
std::filesystem::path TasksDirectory();

/// Names of the task files there (without ".toml"), sorted.
std::vector<std::string> TaskFileNames();

}  // namespace foreplan

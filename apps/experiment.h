// What is run: a task and its configuration in layers.
#pragma once

#include <string>

#include "apps/flags.h"
#include "foreplan/core/config.h"
#include "foreplan/learners/learner.h"
#include "foreplan/systems/task.h"

namespace foreplan::apps {

/// Built-in defaults < task file < --set < flags.
struct Experiment {
  Task task;
  Config config;
  RunOptions run;
};

/// Loads a shipped task or a task file. Throws InputError for whatever is wrong in it or in the
/// flags: unknown names and keys, types, ranges.
Experiment LoadExperiment(const std::string& task, const RunFlags& flags);

/// Everything that config.toml holds: running that file repeats the run. `directory` is where the
/// text will stand; files the task needs are copied there.
std::string ConfigText(Experiment& experiment, const std::filesystem::path& directory);

}  // namespace foreplan::apps

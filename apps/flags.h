// Flags that commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "foreplan/experiments/experiment.h"

namespace foreplan::apps {

/// Accepts integers from `low` to `high`; else says what was found and expected.
CLI::Validator IntegerFrom(int low, int high);
/// The same for numbers; NaN is none.
CLI::Validator NumberFrom(double low, double high);

/// --model: begin with, or act by, what a fit or another run has learned.
void AddModelFlag(CLI::App& command, RunFlags& flags);
void AddPlannerFlag(CLI::App& command, RunFlags& flags);
void AddSetFlag(CLI::App& command, RunFlags& flags);
/// `threads` starts as the number of processors.
CLI::Option* AddThreadsFlag(CLI::App& command, int& threads);
void AddJsonFlag(CLI::App& command, bool& json);

/// What the experiment's notes say, to standard error.
void PrintNotes(const Experiment& experiment);

}  // namespace foreplan::apps

// Flags that commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
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

/// --print-config: nothing but PrintConfig.
void AddPrintConfigFlag(CLI::App& command, bool& print_config);
/// The complete configuration in effect, as a task file that can stand anywhere.
void PrintConfig(Experiment& experiment);
/// --deadline-ms, which is --set mpc.deadline_ms.
void AddDeadlineFlag(CLI::App& command, RunFlags& flags);

/// Says when the folder that `out`, the value of --out, stands in will be made as well: it may be a
/// slip of the pen. The folder runs needs no saying.
void NoteNewFolders(const std::filesystem::path& out);

/// What an experiment or a session wants to have said, to standard error.
void PrintNotes(std::span<const std::string> notes);
/// "planner icem: horizon of 25 steps, 1.25 s of an episode of 10 s"; "" where nothing plans.
std::string HorizonText(Experiment& experiment);

}  // namespace foreplan::apps

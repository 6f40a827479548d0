// Flags that commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace foreplan::apps {

/// What the command line says about a run; an absent flag leaves the config as it is.
struct RunFlags {
  std::optional<std::string> algorithm;
  std::optional<std::string> planner;
  std::optional<int> seed;
  std::optional<int> episodes;
  std::optional<int> steps;
  std::optional<std::string> model;      // folder of a fit or a run
  std::vector<std::string> assignments;  // --set
};

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

}  // namespace foreplan::apps

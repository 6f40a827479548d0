// One task by many ways and seeds, each a run of its own.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/experiments/experiment.h"

namespace foreplan {

/// Every algorithm with every planner, every value of every varied key, and every seed.
struct RunGrid {
  std::string task;
  RunFlags flags;                       // of all runs; its seed counts for nothing
  std::vector<std::string> algorithms;  // empty: the task's
  std::vector<std::string> planners;    // empty: the task's
  std::vector<std::string> varied;      // "KEY=a,b"
  int seeds = 5;                        // 0 ... seeds - 1
  std::filesystem::path folder;         // <what a run has of its own>/seed-<k>/ below it
  int threads = 1;
};

/// Runs what is not there yet, goes on with what was interrupted; the folders of all runs. Before
/// the first run begins all are looked at: throws InputError for what cannot be, and where the
/// folder holds the runs of another grid.
std::vector<std::filesystem::path> RunAll(const RunGrid& grid, const std::stop_token& stop);

/// "KEY=a,b" as "KEY=a" and "KEY=b"; commas within brackets and quotes divide nothing. Throws
/// InputError when there is no '=' or an empty value.
std::vector<std::string> AssignmentsOf(const std::string& varied);

}  // namespace foreplan

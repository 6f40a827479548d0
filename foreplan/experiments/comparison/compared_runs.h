// Runs side by side, whoever made them: groups by what differs, means over seeds, differences.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "foreplan/runs/run_log.h"

namespace foreplan {

struct ComparedRun {
  std::string group;  // of all runs that differ from it in the seed alone
  int seed = 0;
  bool is_imagined = false;  // its system is a learned model
  std::filesystem::path folder;
  std::vector<EpisodeRow> episodes;
};

/// Reads configurations and episodes. A group is named by what its runs have otherwise than those
/// of other groups ("mppi", "planner.icem.horizon=40"), a single one by its task. Throws InputError
/// for what is no run, and for two runs of one group and seed.
std::vector<ComparedRun> ReadComparedRuns(const std::vector<std::filesystem::path>& folders);

/// Of the mean of the differences first - second: paired where both have the same seeds, else
/// Welch's.
struct MeanDifference {
  double mean = 0;
  double ci95 = 0;  // half width of its 95 % interval; NaN where a group has one value
};
[[nodiscard]] MeanDifference PairedDifference(std::span<const double> first,
                                              std::span<const double> second);
/// Welch (1947): degrees of freedom (a + b)^2 / (a^2 / (n - 1) + b^2 / (m - 1)), a = s^2 / n, b =
/// t^2 / m; rounded down.
[[nodiscard]] MeanDifference WelchDifference(std::span<const double> first,
                                             std::span<const double> second);

/// What is compared of a run: the mean return of its last five whole episodes. Groups stand in the
/// order of their first runs; differences are to the first. Writes compare.csv (group, seed,
/// episode, total_steps, episode_return of every whole episode) and compare.svg (a line per seed,
/// mean and interval) into the folder. The answer: {groups: [{name, seeds, final_returns,
/// final_return_mean, final_return_ci95, best_return, imagined, left_out}], differences: [{name,
/// reference, mean, ci95, paired}], table, figure}. Throws RunError when the disk refuses.
nlohmann::ordered_json CompareRuns(const std::vector<ComparedRun>& runs,
                                   const std::filesystem::path& folder);

}  // namespace foreplan

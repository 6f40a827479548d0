// Runs side by side, whoever made them: groups by what differs, means over seeds, differences.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "foreplan/runs/provenance.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {

struct ComparedRun {
  std::string group;  // of all runs that differ from it in the seed alone
  std::string task;
  std::map<std::string, std::string> settings;  // those that give the group its name, by their keys
  int seed = 0;
  bool is_imagined = false;  // its system is a learned model
  std::filesystem::path folder;
  std::vector<EpisodeRow> episodes;
  std::vector<Difference> accepted = {};  // with which it went on, so that it does not repeat
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

/// Means over the runs of a group at evenly spaced numbers of steps, where all of them have some.
[[nodiscard]] std::vector<double> MeanReturns(const std::vector<ComparedRun>& runs,
                                              const std::string& group);

/// What is compared of a run: the mean return of its last five whole episodes. Groups stand in the
/// order of their first runs; differences are to the first. Writes into the folder compare.csv
/// (group, seed, episode, total_steps, episode_return of every whole episode), compare.svg (a line
/// per seed, mean and interval), compare.html and compare.md, which name `command` as what repeats
/// them unless it is "". The answer: {groups: [{name, seeds, final_returns, final_return_mean,
/// final_return_ci95, final_return_iqm, final_return_iqm_ci95, best_return, imagined, left_out,
/// changed, task, settings}], differences: [{name, reference, mean, ci95, paired, bootstrap_ci95,
/// probability_of_improvement, probability_of_improvement_ci95}], runs: [{group, seed, folder,
/// episodes, total_steps, final_return}], table, figure, page, markdown}; what is not known is
/// null. Throws RunError when the disk refuses.
nlohmann::ordered_json CompareRuns(const std::vector<ComparedRun>& runs,
                                   const std::filesystem::path& folder,
                                   const std::string& command = "");

}  // namespace foreplan

// One cell of a comparison: a run on disk, and how good what it learned is.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/experiments/comparison/measure.h"
#include "foreplan/experiments/experiment.h"

namespace foreplan {

/// One way to come to a controller.
struct Cell {
  std::string name;                   // of its folder
  std::string label;                  // for people
  std::string algorithm;              // "": nothing is learned, the planner knows the true model
  std::vector<std::string> settings;  // KEY=VALUE
};

/// Where and with what the cells of one comparison run.
struct Comparison {
  std::string task;
  int episodes = 0;                   // of experience per cell and seed
  int final_episodes = 0;             // fresh ones, in which what was learned is measured
  std::vector<std::string> settings;  // KEY=VALUE, of all cells; a cell's own go first
  std::filesystem::path folder;       // <cell>/seed-<k>/ below it
  int threads = 1;
  int study_seeds = 3;               // most seeds of what is measured besides the systems
  int study_episodes = 1;            // fresh ones of each row of a study
  std::vector<std::string> studies;  // names of those wanted besides `only` some systems
};

[[nodiscard]] std::filesystem::path CellFolder(const Comparison& comparison, const Cell& cell,
                                               int seed);

/// Runs the cell, or goes on with its run, and measures it; what is there already is not done
/// again. The finding: {episode_returns, episode_steps, episode_ends, wall_seconds,
/// model_error_base, model_error_visited} and that of MeasureController. Errors are
/// MedianOneStepError on the base data, in its scale, and on what the final episodes visited; null
/// without a global model.
Finding RunCell(const Comparison& comparison, const Cell& cell, int seed,
                const std::stop_token& stop);

/// What the run in a folder has learned, of whatever kind its model is.
class LearnedCell {
 public:
  explicit LearnedCell(const std::filesystem::path& run);

  [[nodiscard]] std::shared_ptr<const Dynamics> model() const { return model_->snapshot(); }

 private:
  Experiment experiment_;
  std::unique_ptr<LearnedModel> model_;
};

}  // namespace foreplan

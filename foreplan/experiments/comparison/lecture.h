// The lecture's story as one experiment: v0.5, v1.0, v1.5, v2.0, local models, the true model.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/experiments/comparison/cell.h"

namespace foreplan {

/// Runs every cell for seeds 0 ... seeds - 1, measures what replanning buys with at most
/// `study_seeds` of them, and writes lecture.html, lecture.csv, lecture.svg and a CSV per further
/// table into the comparison's folder. With `only` (names of cells) only these run, the true model
/// beside them, and the studies that the comparison names. The answer: {rows, refits, replanning,
/// planners, drifting_car, figure, table, ...}. What is there from an earlier, interrupted call is
/// used. Throws InputError when the folder holds a comparison with other settings, and for names
/// that no cell has.
nlohmann::ordered_json CompareLecture(const Comparison& comparison, int seeds,
                                      const std::vector<std::string>& only,
                                      const std::stop_token& stop);

}  // namespace foreplan

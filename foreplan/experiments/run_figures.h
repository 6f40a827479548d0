// Figures of a run that take more than its tables: levels, decision times, how far its model sees.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stop_token>

#include "foreplan/core/config.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/runs/decision_times.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {

/// Keeps what an evaluation of the run found, RUN/evaluation/<controller>.json, in the place of
/// what one before did: {controller, seed, episode_returns, mean, ci95, ms_per_decision}. Throws
/// RunError when the disk refuses.
void WriteEvaluation(const RunDirectory& directory, const Evaluation& evaluation, int seed);

/// Levels to hold the returns against, of the evaluations that are kept: [{label, value}], in the
/// order random, zero, learned, true model. Files that are no such thing are left out.
nlohmann::ordered_json ReturnLevels(const RunDirectory& directory);

/// A chart as viewer/report.js draws it: decisions by how long they took, with the deadline; null
/// without decisions.
nlohmann::ordered_json DecisionChart(const DecisionTimes& times);
/// How long a decision may take, by section [mpc] [s]; 0: as long as it wants.
double DecisionDeadline(Config& config);
/// Of a run, from its checkpoint.
DecisionTimes ReadDecisionTimes(const RunDirectory& directory);

/// Charts of the stored model, judged on the run's last whole episode and on its first: errors by
/// horizon and component, coverage of intervals, and both episodes side by side, where the model
/// meets what it was not fitted to. Empty for a run without a global model, or with fewer than two
/// episodes of enough steps. Throws Interrupted when asked to stop.
nlohmann::ordered_json ModelCharts(const RunDirectory& directory, const std::stop_token& stop);

}  // namespace foreplan

// Figures of a run that take more than its tables: levels, decision times, how far its model sees.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stop_token>

#include "foreplan/core/config.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/runs/decision_times.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {

/// Keeps what an evaluation of the run found, RUN/evaluation/<controller>.json, in the place of
/// what one before did: {controller, seed, episode_returns, mean, ci95, ms_per_decision}. Throws
/// RunError when the disk refuses.
void WriteEvaluation(const RunDirectory& directory, const Evaluation& evaluation, int seed);

/// Levels to hold the returns against, of the evaluations that are kept: [{label, value}], in the
/// order random, zero, learned, the same sampled, true model. Files that are no such thing are left
/// out.
nlohmann::ordered_json ReturnLevels(const RunDirectory& directory);

/// A chart of decisions, at least one, by how long they took, with the deadline.
nlohmann::ordered_json DecisionChart(const DecisionTimes& times);
/// How long a decision may take, by section [mpc] [s]; 0: as long as it wants.
double DecisionDeadline(Config& config);
/// Of a run, from its checkpoint.
DecisionTimes ReadDecisionTimes(const RunDirectory& directory, const TensorFile& state);

/// Charts of the stored model, judged on the run's last episode and on its first, to which it may
/// have been fitted: both side by side, coverage of intervals on the last, and, as details, errors
/// by horizon and component. Empty for a run without a global model, or with fewer than two
/// episodes of enough steps. Throws Interrupted when asked to stop.
nlohmann::ordered_json ModelCharts(const RunDirectory& directory, const std::stop_token& stop);

}  // namespace foreplan

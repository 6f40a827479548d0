// What a comparison measures of a controller, besides how it learned.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <stop_token>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/policies/policy.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// What one measurement of a comparison found; numbers, lists of numbers and nulls.
using Finding = nlohmann::ordered_json;

/// The finding in `file`; where there is none yet, what `measure` gives, which is then kept there.
Finding KeptFinding(const std::filesystem::path& file, const std::function<Finding()>& measure);

/// What all measurements of one seed share.
struct MeasureContext {
  const Task& task;
  int seed = 0;
  Executor& executor;
  const std::stop_token& stop;
};

/// Plays `episodes` fresh episodes, the same starts for every controller: {final_returns: [...],
/// ms_per_decision, imagined_return, realised_return}, the last two per plan and null for policies
/// without plans. Transitions are added to `visited` unless it is null.
Finding MeasureController(const MeasureContext& context, Policy& policy, int episodes,
                          Dataset* visited);

/// Transitions of two episodes of the base policy "uniform" that nobody learns from.
Dataset BaseData(const MeasureContext& context);

/// Standard deviation of the one-step changes of every component: [no].
std::vector<double> ChangeScale(const Dataset& data);

/// Of every row, the root of the mean square of (expected next observation - observed one) / scale
/// over the components that have a scale; and of those the median over the rows, as a few rows, say
/// impacts, would rule a mean. For models whose state is the observation. scale: [no].
double MedianOneStepError(const Dynamics& model, const Dataset& data,
                          std::span<const double> scale);

}  // namespace foreplan

// How well a model predicts logged data: errors by horizon, and what it says of every step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/data/recording.h"
#include "foreplan/experiments/stored_model.h"

namespace foreplan {

/// Of the mean prediction that many steps ahead, by the actions that were taken; root mean squares
/// over all rows from which the data go on for so long.
struct PredictionError {
  int horizon = 0;                     // [steps]
  int64_t starts = 0;                  // rows
  std::vector<double> error = {};      // [no], in each component's unit; NaN without starts
  std::vector<double> unchanged = {};  // [no], of the prediction that nothing changes
};

/// Throws InputError, naming the data and the first difference, for data of another system than the
/// model's.
void CheckPredicts(const StoredModel& stored, const std::string& source,
                   const Recording& recording);

/// `horizons` ascend. Work is shared out to `executor`; the result does not depend on it.
[[nodiscard]] std::vector<PredictionError> PredictionErrors(const LearnedModel& model,
                                                            const Dataset& data,
                                                            std::span<const int> horizons,
                                                            Executor& executor);

/// A table with a row per step: episode, step, and of every component what it was after the step
/// (`x [m]`), the mean prediction from the row before (`x_mean [m]`) and its standard deviation
/// (`x_deviation [m]`), of all members together.
[[nodiscard]] std::string PredictionCsv(const StoredModel& stored, const Dataset& data);

}  // namespace foreplan

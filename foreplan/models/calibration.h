// How far a fitted model can be trusted: its errors and intervals by horizon, on data it has not
// seen.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/fit_control.h"
#include "foreplan/models/learned_model.h"

namespace foreplan {

/// Central intervals whose coverage is reported.
inline constexpr std::array kCalibrationLevels = {0.5, 0.9, 0.95};

/// Section [calibration].
struct CalibrationOptions {
  double holdout = 0.2;  // share of the episodes, or of a single episode's end, that is only judged
  int horizon = 25;      // longest prediction [steps]
  int particles = 40;    // imagined rollouts per start, spread over the members
  int starts = 200;      // at most, spread over the held-out rows
  bool refit = false;    // afterwards fit to all rows; else the model is the one that was judged

  void Visit(OptionsVisitor& visitor);
};

/// One horizon, over all starts from which it can be judged.
struct HorizonError {
  int steps = 0;
  int64_t starts = 0;
  std::vector<double> rmse;             // of the particles' mean, per component, in its unit: [no]
  std::vector<double> persistence;      // of "nothing changes": [no]
  std::vector<double> epistemic_share;  // of the predicted variance: [no]
  std::vector<std::array<double, kCalibrationLevels.size()>> coverage;  // [no]
};

/// One step, per member.
struct MemberError {
  double rmse = 0;  // over components, in the model's scale
  double nll = 0;   // mean over rows and components of -log density; infinite without deviations
};

/// The score of a row is how much the members disagree about the next observation: the root of the
/// mean over components of the variance of their means over the squared scale.
struct NoveltyReport {
  double training_95 = 0;       // 95 % of the training rows score below
  double holdout_median = 0;    // of the held-out rows
  double holdout_share = 0;     // of them above training_95; 0.05 where they are alike
  double rank_correlation = 0;  // Spearman's, of score and one-step error on held-out rows
};

struct Calibration {
  int64_t training_rows = 0;
  int64_t holdout_rows = 0;
  std::vector<double> scale;           // [no]; 0: changes by the same amount in every step
  std::vector<double> steady_change;   // [no]; that amount, 0 for all others and what stays
  std::vector<HorizonError> horizons;  // 1 ... horizon, as far as held-out episodes reach
  std::vector<MemberError> members;
  double nll = 0;  // of the mixture, one step, per component
  NoveltyReport novelty;
};

struct DataSplit {
  Dataset training;
  Dataset holdout;
  std::string how;  // for the user to read
};

/// That share of the episodes is held out, evenly spread and rounded down, but at least one; of
/// fewer than five episodes the last, of a single one its end.
/// Throws InputError when nothing would be left to fit or to judge.
[[nodiscard]] DataSplit SplitForCalibration(const Dataset& data, double holdout);

/// Particles begin at recorded observations and follow recorded actions; each keeps its member
/// (TS-infinity) and draws the noise that the member predicts. The distribution at a horizon is
/// the mixture of the particles' last steps; an interval covers an observation when the mixture's
/// distribution function there is inside it (probability integral transform). Equal at any number
/// of threads. Throws Interrupted when asked to stop.
[[nodiscard]] Calibration Calibrate(const LearnedModel& model, const DataSplit& split,
                                    const CalibrationOptions& options, Key key, Executor& executor,
                                    const FitControl& control = {});

}  // namespace foreplan

// What a fit to logged data is judged by, for people, programs and spreadsheets.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foreplan/models/calibration.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/systems/system.h"

namespace foreplan {

struct DataFitReport {
  std::string data;  // file
  std::string task;  // "": none
  int seed = 0;
  int64_t transitions = 0;
  int episodes = 0;
  double dt = 0;                   // between rows [s]; 0: not known
  std::string held_out;            // how
  bool refitted = false;           // afterwards, to all rows
  std::vector<std::string> notes;  // about the data
  std::vector<Component> observation;
  FitMetrics metrics;
  double seconds = 0;  // of fitting and judging
  Calibration calibration;
  std::string details;  // LearnedModel::Describe as JSON text; "{}": none
  std::string folder;   // where everything is
};

/// Horizons that tables show: 1, 2, 5, 10, 20, 50, ... and the last.
[[nodiscard]] std::vector<const HorizonError*> ShownHorizons(const Calibration& calibration);
/// Mean over the components that change: of the error in their scale, and of an interval's
/// coverage.
[[nodiscard]] double ScaledError(const Calibration& calibration, const HorizonError& horizon);
[[nodiscard]] double Coverage(const Calibration& calibration, const HorizonError& horizon,
                              size_t level);
/// Charts as viewer/report.js draws them: coverage, and errors by horizon and component.
[[nodiscard]] nlohmann::ordered_json CalibrationCharts(const Calibration& calibration,
                                                       const std::vector<Component>& observation);
/// "hinge [rad]".
[[nodiscard]] std::string LabelOf(const Component& component);

[[nodiscard]] std::string FitText(const DataFitReport& report);
[[nodiscard]] nlohmann::ordered_json FitJson(const DataFitReport& report);
/// One row per horizon and component.
[[nodiscard]] std::string CalibrationCsv(const DataFitReport& report);
/// The page opens offline.
[[nodiscard]] std::string FitPage(const DataFitReport& report, const std::string& config_toml,
                                  const std::string& machine_json);

}  // namespace foreplan

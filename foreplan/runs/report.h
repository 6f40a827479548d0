// One page that shows a run: opens offline, carries its data, styles and charts in itself.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/runs/provenance.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {

struct ReportContent {
  std::string task;
  std::string algorithm;
  std::string planner;  // "" for an algorithm without one
  int seed = 0;
  std::string status;                     // "done", "interrupted after episode 3", ...
  std::vector<Difference> accepted = {};  // with which it went on, so that it does not repeat
  double wall_seconds = 0;
  double planning_seconds = 0;
  double fitting_seconds = 0;
  std::string config_toml;
  std::string machine_json;
  /// Charts ready to draw, as viewer/report.js has them: decision times, errors of the model.
  nlohmann::ordered_json charts = nlohmann::ordered_json::array();
  /// To hold the returns against: [{label, value}].
  nlohmann::ordered_json levels = nlohmann::ordered_json::array();
  std::string animation = {};     // gzip stream of an episode (docs/animation.md); "": none
  std::string no_animation = {};  // why, a sentence
};

/// The episodes as columns: {"episode", "total_steps", "return", "controller"}. The return of an
/// episode that is not whole is null.
nlohmann::ordered_json EpisodeColumns(const RunLog& log);

/// The whole page. Main numbers are plain HTML; the charts need JavaScript.
std::string ReportPage(const ReportContent& content, const RunLog& log);

}  // namespace foreplan

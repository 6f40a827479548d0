#include "foreplan/experiments/run_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/fit_report.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/models/calibration.h"
#include "foreplan/runs/report_chart.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Level {
  const char* controller;
  const char* label;
};
constexpr std::array<Level, 5> kLevels = {{{"uniform", "random"},
                                           {"zero", "no action"},
                                           {kLearned, "learned"},
                                           {kSampled, "learned, sampled"},
                                           {kTrueModel, "true model"}}};

fs::path EvaluationFile(const RunDirectory& directory, const std::string& controller) {
  return directory.path() / "evaluation" / (controller + ".json");
}

/// An episode of the data as one that is judged.
std::optional<DataSplit> OneEpisode(const Dataset& data, int episode) {
  DataSplit split{Dataset(data.observation_dim(), data.action_dim()),
                  Dataset(data.observation_dim(), data.action_dim()), ""};
  constexpr int64_t kFewest = 10;
  constexpr int64_t kMostOthers = 5000;  // they give the scale alone
  const int64_t every = data.size() / kMostOthers + 1;
  for (int64_t row = 0; row < data.size(); ++row) {
    const bool is_judged = data.episode(row) == episode;
    if (is_judged) split.holdout.Add(data.transition(row));
    if (!is_judged && row % every == 0) split.training.Add(data.transition(row));
  }
  if (split.holdout.size() < kFewest || split.training.size() < kFewest) return {};
  return split;
}

std::vector<double> Errors(const Calibration& calibration) {
  std::vector<double> errors;
  for (const HorizonError& horizon : calibration.horizons) {
    errors.push_back(ScaledError(calibration, horizon));
  }
  return errors;
}

/// The same model on the data of the first policy and on those of the last, as far ahead as both
/// reach.
Json MismatchChart(const Calibration& first, const Calibration& last, int last_episode) {
  const size_t count = std::min(first.horizons.size(), last.horizons.size());
  std::vector<int> steps;
  for (size_t i = 0; i < count; ++i) steps.push_back(last.horizons[i].steps);
  Json chart =
      ReportChart("Where the model is asked",
                  "error in standard deviations of the one-step changes; the model may have "
                  "been fitted to both episodes",
                  "steps ahead", steps);
  for (const Calibration* calibration : {&first, &last}) {
    std::vector<double> errors = Errors(*calibration);
    errors.resize(count);
    AddSeries(chart, fmt::format("episode {}", calibration == &first ? 1 : last_episode), errors);
  }
  return chart;
}

}  // namespace

void WriteEvaluation(const RunDirectory& directory, const Evaluation& evaluation, int seed) {
  const fs::path file = EvaluationFile(directory, evaluation.controller);
  static_cast<void>(MakeFolderDurably(file.parent_path()));  // else writing says what is wrong
  const Json document = {
      {"controller", evaluation.controller},   {"seed", seed},
      {"episode_returns", evaluation.returns}, {"mean", evaluation.summary.mean},
      {"ci95", evaluation.summary.ci95},       {"ms_per_decision", evaluation.ms_per_decision}};
  WriteFileAtomically(file, document.dump(2) + "\n");
}

Json ReturnLevels(const RunDirectory& directory) {
  Json levels = Json::array();
  for (const auto& [controller, label] : kLevels) {
    const fs::path file = EvaluationFile(directory, controller);
    std::error_code error;
    if (!fs::is_regular_file(file, error)) continue;
    const Json document = Json::parse(ReadFile(file), nullptr, false);
    const auto mean = document.find("mean");
    if (mean == document.end() || !mean->is_number()) continue;
    levels.push_back({{"label", label}, {"value", *mean}});
  }
  return levels;
}

Json DecisionChart(const DecisionTimes& times) {
  size_t first = 0;
  size_t last = DecisionTimes::kBins - 1;
  while (times.InBin(first) == 0) ++first;
  while (times.InBin(last) == 0) --last;
  std::vector<double> begins;
  std::vector<int64_t> counts;
  for (size_t bin = first > 0 ? first - 1 : 0; bin <= std::min(last + 1, DecisionTimes::kBins - 1);
       ++bin) {
    begins.push_back(1e3 * DecisionTimes::Begin(bin));
    counts.push_back(times.InBin(bin));
  }
  Json chart = ReportChart("Decision time",
                           fmt::format("decisions by how long they took; half within {:.3g} ms, "
                                       "99 % within {:.3g} ms",
                                       1e3 * times.Quantile(0.5), 1e3 * times.Quantile(0.99)),
                           "ms", begins);
  chart["kind"] = "histogram";
  AddSeries(chart, "decisions", counts);
  if (times.deadline() > 0) {
    chart["mark"] = {{"x", 1e3 * times.deadline()},
                     {"label", fmt::format("deadline: {} of {} late", times.late(),
                                           Counted(times.count(), "decision"))}};
  }
  return chart;
}

double DecisionDeadline(Config& config) {
  return 1e-3 * ReadOptions<MpcOptions>(config, "mpc").deadline_ms;
}

DecisionTimes ReadDecisionTimes(const RunDirectory& directory, const TensorFile& state) {
  Config config = Config::FromFile(directory.config_file());
  DecisionTimes times(DecisionDeadline(config));
  times.Restore(state);
  return times;
}

Json ModelCharts(const RunDirectory& directory, const std::stop_token& stop) {
  const StoredModel stored = OpenStoredModel(directory.path());
  const Recording recording = ReadStoredData(directory.path());
  const Dataset& data = recording.data;
  if (data.size() == 0) return Json::array();
  const int last = data.episode(data.size() - 1);
  const std::optional<DataSplit> newest = OneEpisode(data, last);
  const std::optional<DataSplit> oldest = OneEpisode(data, data.episode(0));
  if (!newest || !oldest) return Json::array();
  // To be looked at: a quarter of the rollouts that a fit is judged by.
  const CalibrationOptions options{.particles = 20, .starts = 100};
  SerialExecutor executor;
  const auto judge = [&](const DataSplit& split) {
    return Calibrate(*stored.model, split, options, Key{0, 0x6a7564}, executor, {.stop = stop});
  };
  const Calibration of_last = judge(*newest);
  const Calibration of_first = judge(*oldest);
  Json charts = CalibrationCharts(of_last, ObservationOf(recording));
  charts[0]["unit"] = "share of the last episode's observations inside the interval";
  for (size_t i = 1; i < charts.size(); ++i) charts[i]["detail"] = true;  // of one component each
  charts.insert(charts.begin(), MismatchChart(of_first, of_last, last));
  return charts;
}

}  // namespace foreplan

#include "foreplan/experiments/comparison/compared_runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/comparison/comparison_documents.h"
#include "foreplan/experiments/comparison/resampling.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/curve_figure.h"
#include "foreplan/runs/returns.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/summary.h"
#include "foreplan/runs/table.h"
#include "foreplan/systems/task_text.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr int kFigurePoints = 40;  // of a mean

using Settings = std::map<std::string, std::string>;  // key -> value as in TOML

/// What says nothing about how a run learned.
bool IsBeside(const std::string& key) {
  return key == "run.seed" || key == "summary" || key.starts_with("record.");
}

Settings SettingsOf(const Config& config) {
  Settings settings;
  for (const std::string& assignment : config.Assignments("")) {
    const size_t equals = assignment.find('=');
    const std::string key = assignment.substr(0, equals);
    if (!IsBeside(key)) settings[key] = assignment.substr(equals + 1);
  }
  return settings;
}

/// Keys that not all have with the same value. A section that only some have, as that of their
/// planner, follows from another key: `everywhere` asks for those that all have.
std::vector<std::string> DifferingKeys(const std::vector<Settings>& all, bool everywhere) {
  std::set<std::string> keys;
  for (const Settings& settings : all) {
    for (const auto& [key, value] : settings) keys.insert(key);
  }
  std::erase_if(keys, [&](const std::string& key) {
    const auto& first = all.front();
    const auto value = first.find(key);
    const bool in_all = std::ranges::all_of(all, [&](const auto& s) { return s.contains(key); });
    if (everywhere && !in_all) return true;
    return std::ranges::all_of(all, [&](const Settings& settings) {
      const auto found = settings.find(key);
      return (found == settings.end()) == (value == first.end()) &&
             (found == settings.end() || found->second == value->second);
    });
  });
  return {keys.begin(), keys.end()};
}

std::string Unquoted(const std::string& value) {
  const bool is_quoted = value.size() >= 2 && (value.front() == '\'' || value.front() == '"') &&
                         value.back() == value.front();
  return is_quoted ? value.substr(1, value.size() - 2) : value;
}

/// "mppi, planner.icem.horizon=40"
std::string GroupName(const Settings& settings, const std::vector<std::string>& keys) {
  std::vector<std::string> parts;
  for (const std::string& key : keys) {
    const auto found = settings.find(key);
    const std::string value = found == settings.end() ? "none" : Unquoted(found->second);
    const bool names_itself = key == "name" || key == "run.algorithm" || key == "run.planner";
    parts.push_back(names_itself ? value : fmt::format("{}={}", key, value));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void NameGroups(const std::vector<Settings>& settings, const std::vector<std::string>& keys,
                std::vector<ComparedRun>& runs) {
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].settings.clear();
    for (const std::string& key : keys) {
      const auto found = settings[i].find(key);
      if (found != settings[i].end()) runs[i].settings[key] = Unquoted(found->second);
    }
    runs[i].group = keys.empty() ? Unquoted(settings[i].at("name")) : GroupName(settings[i], keys);
  }
}

/// Two runs of one group and seed; null: none.
const ComparedRun* FirstTwin(const std::vector<ComparedRun>& runs) {
  std::set<std::pair<std::string, int>> seen;
  for (const ComparedRun& run : runs) {
    if (!seen.insert({run.group, run.seed}).second) return &run;
  }
  return nullptr;
}

bool IsImagined(const Settings& settings) {
  const auto type = settings.find("system.type");
  return type != settings.end() && Unquoted(type->second) == kLearnedSystemType;
}

ComparedRun ReadRun(const fs::path& folder, Settings& settings) {
  const RunDirectory directory = RunDirectory::Open(folder);
  Config config = Config::FromFile(directory.config_file());
  settings = SettingsOf(config);
  if (!settings.contains("name")) {
    throw InputError(fmt::format("{}: found no name of a task", directory.config_file().string()));
  }
  RunLog log;
  log.RestoreCsv(ReadFile(directory.episodes_file()), ReadFile(directory.metrics_file()),
                 folder.string());
  return {.group = "",
          .task = Unquoted(settings.at("name")),
          .settings = {},
          .seed = ReadOptions<RunOptions>(config, "run").seed,
          .is_imagined = IsImagined(settings),
          .folder = folder,
          .episodes = log.episodes(),
          .accepted = AcceptedDifferences(directory)};
}

struct Group {
  std::string name;
  std::vector<const ComparedRun*> runs;  // by seed
  std::vector<double> finals;            // per run; NaN without a whole episode
};

std::vector<Group> GroupsOf(const std::vector<ComparedRun>& runs) {
  std::vector<Group> groups;
  for (const ComparedRun& run : runs) {
    auto group = std::ranges::find(groups, run.group, &Group::name);
    if (group == groups.end()) {
      groups.push_back({run.group, {}, {}});
      group = groups.end() - 1;
    }
    group->runs.push_back(&run);
  }
  for (Group& group : groups) {
    std::ranges::sort(group.runs, {}, &ComparedRun::seed);
    for (const ComparedRun* run : group.runs) {
      group.finals.push_back(WholeReturnsOf(run->episodes).MeanOfLast());
    }
  }
  return groups;
}

std::vector<int> SeedsOf(const Group& group) {
  std::vector<int> seeds;
  for (const ComparedRun* run : group.runs) seeds.push_back(run->seed);
  return seeds;
}

std::vector<CurvePoint> CurveOf(const ComparedRun& run) {
  std::vector<CurvePoint> points;
  for (const EpisodeRow& row : run.episodes) {
    if (IsWhole(row.end)) {
      points.push_back({static_cast<double>(row.total_steps), row.episode_return});
    }
  }
  return points;
}

/// Straight between the points, NaN beyond them.
double ValueAt(const std::vector<CurvePoint>& curve, double x) {
  const auto after = std::ranges::lower_bound(curve, x, {}, &CurvePoint::x);
  if (after == curve.end()) return std::numeric_limits<double>::quiet_NaN();
  if (after->x == x) return after->y;
  if (after == curve.begin()) return std::numeric_limits<double>::quiet_NaN();
  const auto before = after - 1;
  return std::lerp(before->y, after->y, (x - before->x) / (after->x - before->x));
}

/// mean +- t s / sqrt(n); the quantile t is the same for all points of a curve.
CurvePoint MeanPoint(double x, const std::vector<double>& values, double t) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {x, mean, t * std::sqrt(squares / (n - 1.0) / n)};
}

/// Mean and interval over the curves where all of them are.
std::vector<CurvePoint> MeanCurve(const std::vector<std::vector<CurvePoint>>& curves) {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  for (const auto& curve : curves) {
    if (curve.empty()) return {};
    low = std::max(low, curve.front().x);
    high = std::min(high, curve.back().x);
  }
  const double t = curves.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                     : StudentQuantile(static_cast<int>(curves.size()) - 1, 0.95);
  std::vector<CurvePoint> mean;
  for (int i = 0; low <= high && i < kFigurePoints; ++i) {
    const double x = std::lerp(low, high, static_cast<double>(i) / (kFigurePoints - 1));
    std::vector<double> values;
    for (const auto& curve : curves) values.push_back(ValueAt(curve, x));
    mean.push_back(MeanPoint(x, values, t));
  }
  return mean;
}

std::vector<CurvePoint> MeanCurveOf(const Group& group) {
  std::vector<std::vector<CurvePoint>> curves;
  for (const ComparedRun* run : group.runs) curves.push_back(CurveOf(*run));
  return MeanCurve(curves);
}

/// The figure in words, a sentence per group.
std::string DescriptionOf(const std::vector<Group>& groups) {
  std::vector<std::string> sentences;
  for (const Group& group : groups) {
    const std::string name = fmt::format("{} ({})", group.name, Counted(group.runs.size(), "seed"));
    const std::vector<CurvePoint> mean = MeanCurveOf(group);
    if (mean.empty()) {
      sentences.push_back(fmt::format("{}: no steps that all of its seeds have.", name));
      continue;
    }
    const CurvePoint& best = *std::ranges::max_element(mean, {}, &CurvePoint::y);
    sentences.push_back(fmt::format(
        "{}: the mean return goes from {:.4g} after {:.0f} steps to {:.4g} after "
        "{:.0f}, and is highest after {:.0f}, {:.4g}.",
        name, mean.front().y, mean.front().x, mean.back().y, mean.back().x, best.x, best.y));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

std::string FigureSvg(const std::vector<Group>& groups, bool is_narrow) {
  CurveFigure figure{
      .title = is_narrow ? "Returns by steps" : "Returns: a line per seed, mean and 95 % interval",
      .x_label = "environment steps",
      .y_label = "return",
      .curves = {},
      .description = "Returns by environment steps. " + DescriptionOf(groups),
      .is_narrow = is_narrow};
  for (const Group& group : groups) {
    for (const ComparedRun* run : group.runs) {
      figure.curves.push_back({.label = "", .points = CurveOf(*run), .is_faint = true});
    }
    figure.curves.push_back({.label = group.name, .points = MeanCurveOf(group), .has_band = true});
  }
  return CurveFigureSvg(figure);
}

std::string ReturnsCsv(const std::vector<Group>& groups) {
  ResultTable table;
  for (const Group& group : groups) {
    for (const ComparedRun* run : group.runs) {
      for (const EpisodeRow& row : run->episodes) {
        if (!IsWhole(row.end)) continue;
        table.rows.push_back({{"group", group.name},
                              {"seed", run->seed},
                              {"episode", row.episode},
                              {"total_steps", row.total_steps},
                              {"episode_return", row.episode_return}});
      }
    }
  }
  return CsvText(table);
}

/// "" or "seed 3: 1 diverged".
std::string LeftOutOf(const Group& group) {
  std::vector<std::string> parts;
  for (const ComparedRun* run : group.runs) {
    const std::string left_out = WholeReturnsOf(run->episodes).LeftOut();
    if (!left_out.empty()) parts.push_back(fmt::format("seed {}: {}", run->seed, left_out));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

/// "" or "seed 3 does not repeat to the bit: program".
std::string ChangedOf(const Group& group) {
  std::vector<std::string> parts;
  for (const ComparedRun* run : group.runs) {
    std::set<std::string> names;
    for (const Difference& difference : run->accepted) names.insert(difference.name);
    if (names.empty()) continue;
    parts.push_back(
        fmt::format("seed {} does not repeat to the bit: {}", run->seed, fmt::join(names, ", ")));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

double BestOf(const Group& group) {
  double best = -std::numeric_limits<double>::infinity();
  for (const ComparedRun* run : group.runs) {
    for (const double value : WholeReturnsOf(run->episodes).returns) best = std::max(best, value);
  }
  return best;
}

/// JSON has no NaN.
nlohmann::ordered_json NumberOrNull(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

nlohmann::ordered_json EndsOrNull(const Interval& interval) {
  if (!std::isfinite(interval.low) || !std::isfinite(interval.high)) return nullptr;
  return nlohmann::ordered_json::array({interval.low, interval.high});
}

nlohmann::ordered_json RowOf(const Group& group) {
  const Summary summary = Summarize(group.finals);
  nlohmann::ordered_json finals = nlohmann::ordered_json::array();
  for (const double value : group.finals) finals.push_back(NumberOrNull(value));
  return {{"name", group.name},
          {"seeds", SeedsOf(group)},
          {"final_returns", finals},
          {"final_return_mean", NumberOrNull(summary.mean)},
          {"final_return_ci95", NumberOrNull(summary.ci95)},
          {"final_return_iqm", NumberOrNull(InterquartileMean(group.finals))},
          {"final_return_iqm_ci95", EndsOrNull(BootstrapInterquartileMean(group.finals))},
          {"best_return", NumberOrNull(BestOf(group))},
          {"imagined", std::ranges::any_of(group.runs, &ComparedRun::is_imagined)},
          {"left_out", LeftOutOf(group)},
          {"changed", ChangedOf(group)},
          {"task", group.runs.front()->task},
          {"settings", group.runs.front()->settings}};
}

nlohmann::ordered_json DifferenceOf(const Group& group, const Group& reference) {
  const bool is_paired = SeedsOf(group) == SeedsOf(reference);
  const Pairing pairing = is_paired ? Pairing::kPaired : Pairing::kIndependent;
  const MeanDifference difference = is_paired ? PairedDifference(group.finals, reference.finals)
                                              : WelchDifference(group.finals, reference.finals);
  return {
      {"name", group.name},
      {"reference", reference.name},
      {"mean", NumberOrNull(difference.mean)},
      {"ci95", NumberOrNull(difference.ci95)},
      {"paired", is_paired},
      {"bootstrap_ci95", EndsOrNull(BootstrapDifference(group.finals, reference.finals, pairing))},
      {"probability_of_improvement",
       NumberOrNull(ImprovementProbability(group.finals, reference.finals))},
      {"probability_of_improvement_ci95",
       EndsOrNull(BootstrapImprovement(group.finals, reference.finals, pairing))}};
}

nlohmann::ordered_json RunsOf(const std::vector<Group>& groups) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Group& group : groups) {
    for (size_t i = 0; i < group.runs.size(); ++i) {
      const ComparedRun& run = *group.runs[i];
      rows.push_back({{"group", group.name},
                      {"seed", run.seed},
                      {"folder", run.folder.string()},
                      {"episodes", run.episodes.size()},
                      {"total_steps", run.episodes.empty() ? 0 : run.episodes.back().total_steps},
                      {"final_return", NumberOrNull(group.finals[i])}});
    }
  }
  return rows;
}

}  // namespace

std::vector<ComparedRun> ReadComparedRuns(const std::vector<fs::path>& folders) {
  std::vector<ComparedRun> runs;
  std::vector<Settings> settings(folders.size());
  for (size_t i = 0; i < folders.size(); ++i) runs.push_back(ReadRun(folders[i], settings[i]));
  if (runs.empty()) return runs;
  NameGroups(settings, DifferingKeys(settings, true), runs);
  if (FirstTwin(runs) != nullptr) NameGroups(settings, DifferingKeys(settings, false), runs);
  if (const ComparedRun* twin = FirstTwin(runs)) {
    throw InputError(
        fmt::format("{}: found a second run of '{}' with seed {}, expected another seed",
                    twin->folder.string(), twin->group, twin->seed));
  }
  return runs;
}

MeanDifference PairedDifference(std::span<const double> first, std::span<const double> second) {
  std::vector<double> differences(first.size());
  std::ranges::transform(first, second, differences.begin(), std::minus());
  const Summary summary = Summarize(differences);
  return {summary.mean, summary.ci95};
}

MeanDifference WelchDifference(std::span<const double> first, std::span<const double> second) {
  // s^2 / n
  const auto square_error = [](std::span<const double> values, double mean) {
    double sum = 0;
    for (const double value : values) sum += (value - mean) * (value - mean);
    const auto n = static_cast<double>(values.size());
    return sum / (n - 1) / n;
  };
  const double mean_1 = Summarize(first).mean;
  const double mean_2 = Summarize(second).mean;
  MeanDifference difference{.mean = mean_1 - mean_2,
                            .ci95 = std::numeric_limits<double>::quiet_NaN()};
  if (first.size() < 2 || second.size() < 2) return difference;
  const double a = square_error(first, mean_1);
  const double b = square_error(second, mean_2);
  const auto n = static_cast<double>(first.size());
  const auto m = static_cast<double>(second.size());
  const double degrees = (a + b) * (a + b) / (a * a / (n - 1) + b * b / (m - 1));
  if (!std::isfinite(degrees)) {  // both without spread
    difference.ci95 = a + b == 0 ? 0 : difference.ci95;
    return difference;
  }
  difference.ci95 =
      StudentQuantile(std::max(1, static_cast<int>(degrees)), 0.95) * std::sqrt(a + b);
  return difference;
}

std::vector<double> MeanReturns(const std::vector<ComparedRun>& runs, const std::string& group) {
  std::vector<double> returns;
  for (const Group& candidate : GroupsOf(runs)) {
    if (candidate.name != group) continue;
    for (const CurvePoint& point : MeanCurveOf(candidate)) returns.push_back(point.y);
  }
  return returns;
}

nlohmann::ordered_json CompareRuns(const std::vector<ComparedRun>& runs, const fs::path& folder,
                                   const std::string& command) {
  const std::vector<Group> groups = GroupsOf(runs);
  nlohmann::ordered_json answer = {{"groups", nlohmann::ordered_json::array()},
                                   {"differences", nlohmann::ordered_json::array()},
                                   {"runs", RunsOf(groups)},
                                   {"table", (folder / "compare.csv").string()},
                                   {"figure", (folder / "compare.svg").string()},
                                   {"page", (folder / "compare.html").string()},
                                   {"markdown", (folder / "compare.md").string()}};
  for (const Group& group : groups) {
    answer["groups"].push_back(RowOf(group));
    if (&group == &groups.front()) continue;
    answer["differences"].push_back(DifferenceOf(group, groups.front()));
  }
  const ComparisonDocument document{.answer = answer,
                                    .figure = FigureSvg(groups, false),
                                    .narrow_figure = FigureSvg(groups, true),
                                    .description = DescriptionOf(groups),
                                    .command = command};
  std::error_code error;
  fs::create_directories(folder, error);  // a file that cannot be written says so
  WriteFileAtomically(folder / "compare.csv", ReturnsCsv(groups));
  WriteFileAtomically(folder / "compare.svg", document.figure);
  WriteFileAtomically(folder / "compare.html", ComparedRunsPage(document));
  WriteFileAtomically(folder / "compare.md", ComparedRunsMarkdown(document));
  return answer;
}

}  // namespace foreplan

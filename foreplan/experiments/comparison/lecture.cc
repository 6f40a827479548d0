#include "foreplan/experiments/comparison/lecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/comparison/replanning.h"
#include "foreplan/runs/comparison.h"
#include "foreplan/runs/curve_figure.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/run_log.h"
#include "foreplan/runs/summary.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using Json = nlohmann::ordered_json;

// Every loop that plans takes as many gradient steps in all, whenever it takes them.
constexpr int kGradientStepsPerStep = 5;
constexpr double kGoodShare = 0.9;  // of the true model's return
constexpr int kRefitEvery = 50;     // steps between fits of v1.5

std::vector<std::string> GradientSteps(int environment_steps) {
  const int steps = kGradientStepsPerStep * environment_steps;
  return {fmt::format("fit.min_steps={}", steps), fmt::format("fit.max_steps={}", steps)};
}

std::vector<std::string> Joined(std::vector<std::string> all,
                                const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

constexpr std::array<std::pair<const char*, const char*>, 3> kExecutions = {
    {{"open_loop", "open loop"}, {"tracked", "tracked"}, {"replanned", "replanned"}}};

Cell FitOnce(const Comparison& comparison, int length, const std::string& execution,
             const std::string& base_policy) {
  return {.name = fmt::format("v0.5-{}{}", execution,
                              base_policy == "uniform" ? "" : "-" + base_policy),
          .label = {},
          .algorithm = "fit_then_plan",
          .settings = Joined(GradientSteps(comparison.episodes * length),
                             {fmt::format("fit_then_plan.base_episodes={}", comparison.episodes),
                              "fit_then_plan.execution=" + execution,
                              "fit_then_plan.base_policy=" + base_policy})};
}

Cell Mpc(int refit_every) {
  return {.name = refit_every == kRefitEvery ? "v1.5" : fmt::format("v1.5-refit-{}", refit_every),
          .label = fmt::format("v1.5, refit every {}", refit_every),
          .algorithm = "mpc",
          .settings =
              Joined(GradientSteps(refit_every), {fmt::format("mpc.refit_every={}", refit_every)})};
}

/// The systems of the story, the model frozen or aggregated x a plan once, tracked or replanned
/// among them.
std::vector<Cell> Systems(const Comparison& comparison, int length) {
  std::vector<Cell> cells;
  for (const auto& [execution, label] : kExecutions) {
    cells.push_back(FitOnce(comparison, length, execution, "uniform"));
    cells.back().label = fmt::format("v0.5, {}", label);
  }
  for (const auto& [execution, label] : kExecutions) {
    if (execution == std::string("open_loop")) continue;
    cells.push_back(FitOnce(comparison, length, execution, "sweep"));
    cells.back().label = fmt::format("v0.5, {}, explorative data", label);
  }
  for (const auto& [execution, label] : kExecutions) {
    cells.push_back({.name = fmt::format("v1.0-{}", execution),
                     .label = fmt::format("v1.0, {}", label),
                     .algorithm = "aggregate",
                     .settings = Joined(GradientSteps(length),
                                        {fmt::format("aggregate.execution={}", execution)})});
  }
  cells.push_back(Mpc(kRefitEvery));
  cells.back().label = "v1.5";
  cells.push_back(
      {.name = "v2.0",
       .label = "v2.0",
       .algorithm = "policy_backprop",
       .settings = {"model.width=100", "model.probabilistic=false", "fit.min_steps=1000",
                    "fit.max_steps=1000", "fit.weight_decay=[0.0001]"}});
  cells.push_back({.name = "local_models",
                   .label = "local models",
                   .algorithm = "local_models",
                   .settings = {"local_models.rollouts=2", "local_models.prior=network",
                                "local_models.initial=pd", "local_models.test_rollouts=1"}});
  cells.push_back({.name = "true_model", .label = "true model", .algorithm = {}, .settings = {}});
  return cells;
}

using SeedFindings = std::vector<Finding>;  // one per seed

std::vector<double> Numbers(const SeedFindings& findings, const std::string& key) {
  std::vector<double> numbers;
  for (const Finding& finding : findings) {
    if (finding[key].is_number()) numbers.push_back(finding[key].get<double>());
  }
  return numbers;
}

/// Null for what is no number.
Json OrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }
Json MeanOrNull(const SeedFindings& findings, const std::string& key) {
  return OrNull(Summarize(Numbers(findings, key)).mean);
}

double FinalReturn(const Finding& finding) {
  return Summarize(finding["final_returns"].get<std::vector<double>>()).mean;
}

std::vector<double> FinalReturns(const SeedFindings& findings) {
  std::vector<double> returns;
  for (const Finding& finding : findings) returns.push_back(FinalReturn(finding));
  return returns;
}

/// The episode was played to its end: its return can be compared.
bool IsWholeEpisode(const Finding& finding, size_t episode) {
  const auto end = finding.at("episode_ends").at(episode).get<std::string>();
  return end == NameOf(EpisodeEnd::kLength) || end == NameOf(EpisodeEnd::kTerminated);
}

/// Environment steps after the first whole episode that earned `wanted`; those of all experience
/// when only what was learned in the end does; infinity when nothing does.
double StepsTo(const Finding& finding, double wanted) {
  double steps = 0;
  for (size_t i = 0; i < finding["episode_returns"].size(); ++i) {
    steps += finding["episode_steps"][i].get<double>();
    if (!IsWholeEpisode(finding, i)) continue;
    if (finding["episode_returns"][i].get<double>() >= wanted) return steps;
  }
  return FinalReturn(finding) >= wanted ? steps : INFINITY;
}

/// The median over seeds; null when half of them never do.
Json MedianStepsTo(const SeedFindings& findings, double wanted) {
  std::vector<double> steps;
  for (const Finding& finding : findings) steps.push_back(StepsTo(finding, wanted));
  return OrNull(Median(std::move(steps)));
}

Json Row(const Cell& cell, const SeedFindings& findings, double wanted) {
  const Summary final_return = Summarize(FinalReturns(findings));
  return {{"algorithm", cell.label},
          {"final_return_mean", final_return.mean},
          {"final_return_ci95", OrNull(final_return.ci95)},
          {"final_return_min", final_return.min},
          {"steps_to_90_percent", MedianStepsTo(findings, wanted)},
          {"wall_seconds", MeanOrNull(findings, "wall_seconds")},
          {"ms_per_decision", MeanOrNull(findings, "ms_per_decision")},
          {"model_error_base", MeanOrNull(findings, "model_error_base")},
          {"model_error_visited", MeanOrNull(findings, "model_error_visited")},
          {"imagined_return", MeanOrNull(findings, "imagined_return")},
          {"realised_return", MeanOrNull(findings, "realised_return")}};
}

/// Means over seeds of rows that agree in `keys`; that of final_return with its interval.
std::vector<Json> AverageRows(const std::vector<Finding>& seeds,
                              const std::vector<std::string>& keys) {
  std::vector<Json> averages;
  for (size_t row = 0; row < seeds.front().size(); ++row) {
    Json average;
    for (const auto& [column, first] : seeds.front()[row].items()) {
      if (std::ranges::find(keys, column) != keys.end()) {
        average[column] = first;
        continue;
      }
      SeedFindings same;
      for (const Finding& seed : seeds) same.push_back(seed[row]);
      const Summary summary = Summarize(Numbers(same, column));
      average[column] = OrNull(summary.mean);
      if (column == "final_return") average["final_return_ci95"] = OrNull(summary.ci95);
    }
    averages.push_back(std::move(average));
  }
  return averages;
}

/// The mean return of each episode over the seeds in which it is whole; what was learned in the end
/// as the last point.
Curve LearningCurve(const Cell& cell, const SeedFindings& findings, double all_steps) {
  Curve curve{.label = cell.label, .points = {}};
  const size_t episodes = findings.front()["episode_returns"].size();
  for (size_t i = 0; i < episodes && cell.algorithm != "fit_then_plan"; ++i) {
    std::vector<double> returns;
    std::vector<double> steps;
    for (const Finding& finding : findings) {
      if (i >= finding["episode_returns"].size() || !IsWholeEpisode(finding, i)) continue;
      returns.push_back(finding["episode_returns"][i].get<double>());
      double so_far = 0;
      for (size_t j = 0; j <= i; ++j) so_far += finding["episode_steps"][j].get<double>();
      steps.push_back(so_far);
    }
    if (returns.empty()) continue;
    const Summary summary = Summarize(returns);
    curve.points.push_back({Summarize(steps).mean, summary.mean, summary.ci95});
  }
  const Summary last = Summarize(FinalReturns(findings));
  if (cell.algorithm.empty()) curve.points.push_back({0, last.mean, last.ci95});
  curve.points.push_back({all_steps, last.mean, last.ci95});
  return curve;
}

/// Cells of other settings in the same folder would be taken for these.
void CheckFolder(const Comparison& comparison) {
  Json settings = {{"task", comparison.task},
                   {"episodes", comparison.episodes},
                   {"study_episodes", comparison.study_episodes},
                   {"settings", comparison.settings}};
  const std::filesystem::path file = comparison.folder / "comparison.json";
  const Finding found = KeptFinding(file, [&] { return settings; });
  if (found == settings) return;
  throw InputError(fmt::format("{}: found a comparison with {}, expected {}; use another --out",
                               file.string(), found.dump(), settings.dump()));
}

/// Everything that was measured.
struct Measured {
  std::vector<Cell> systems;
  std::vector<Cell> refits;                             // v1.5 with other times between fits
  std::map<std::string, SeedFindings> cells;            // by the cell's name
  std::map<std::string, std::vector<Finding>> studies;  // rows per seed, by the study's name
};

const Cell& Find(const std::vector<Cell>& cells, const std::string& name) {
  return *std::ranges::find(cells, name, &Cell::name);
}

/// Removes the cells that are not wanted; the true model is what the others are compared with.
void KeepOnly(const std::vector<std::string>& only, Measured& measured) {
  std::vector<std::string> known;
  for (const auto* cells : {&measured.systems, &measured.refits}) {
    for (const Cell& cell : *cells) known.push_back(cell.name);
  }
  for (const std::string& name : only) {
    if (std::ranges::find(known, name) == known.end()) {
      throw UnknownName("--only", "system", name, known);
    }
  }
  const auto is_left_out = [&](const Cell& cell) {
    return !cell.algorithm.empty() && std::ranges::find(only, cell.name) == only.end();
  };
  std::erase_if(measured.systems, is_left_out);
  std::erase_if(measured.refits, is_left_out);
}

/// All studies of a whole comparison; of some systems those that are asked for and can be measured.
void ChooseStudies(const std::vector<std::string>& only, std::vector<std::string>& studies) {
  const std::vector<std::pair<std::string, std::string>> kSystems = {
      {"replanning", "v1.5"},
      {"planners_v0.5", "v0.5-replanned"},
      {"planners_v1.5", "v1.5"},
      {"drifting_car", ""}};
  std::vector<std::string> known;
  for (const auto& [study, system] : kSystems) known.push_back(study);
  if (studies.empty() && only.empty()) studies = known;
  for (const std::string& name : studies) {
    const auto found = std::ranges::find(known, name);
    if (found == known.end()) throw UnknownName("--study", "study", name, known);
    const std::string& system = kSystems[static_cast<size_t>(found - known.begin())].second;
    if (only.empty() || system.empty() || std::ranges::find(only, system) != only.end()) continue;
    throw InputError(
        fmt::format("--study {}: found --only without {}, expected it among them", name, system));
  }
}

void MeasureCells(const Comparison& comparison, int seed, const std::stop_token& stop,
                  Measured& measured) {
  for (const auto* cells : {&measured.systems, &measured.refits}) {
    for (const Cell& cell : *cells) {
      SeedFindings& findings = measured.cells[cell.name];  // v1.5 is in both
      if (std::ssize(findings) == seed) findings.push_back(RunCell(comparison, cell, seed, stop));
    }
  }
}

void MeasureStudies(const Comparison& comparison, int seed, const std::stop_token& stop,
                    Measured& measured) {
  const auto system = [&](const char* name) -> const Cell& { return Find(measured.systems, name); };
  const auto keep = [&](const std::string& name, const std::function<Finding()>& measure) {
    if (std::ranges::find(comparison.studies, name) == comparison.studies.end()) return;
    measured.studies[name].push_back(
        KeptFinding(comparison.folder / name / fmt::format("seed-{}.json", seed), measure));
  };
  keep("replanning", [&] { return MeasureReplanning(comparison, system("v1.5"), seed, stop); });
  keep("planners_v0.5",
       [&] { return MeasurePlanners(comparison, system("v0.5-replanned"), seed, stop); });
  keep("planners_v1.5", [&] { return MeasurePlanners(comparison, system("v1.5"), seed, stop); });
  keep("drifting_car", [&] { return MeasureDriftingCar(seed, comparison.threads, stop); });
}

Measured Measure(const Comparison& comparison, int length, int seeds,
                 const std::vector<std::string>& only, const std::stop_token& stop) {
  Measured measured{.systems = Systems(comparison, length),
                    .refits = {Mpc(1), Mpc(25), Mpc(kRefitEvery), Mpc(length)},
                    .cells = {},
                    .studies = {}};
  if (!only.empty()) KeepOnly(only, measured);
  for (int seed = 0; seed < seeds; ++seed) {
    MeasureCells(comparison, seed, stop, measured);
    if (seed < comparison.study_seeds) MeasureStudies(comparison, seed, stop, measured);
  }
  return measured;
}

std::string Figure(const Comparison& comparison, const Measured& measured, int length, int seeds) {
  CurveFigure figure{
      .title = fmt::format("{}: return over real steps, mean of {} seeds", comparison.task, seeds),
      .x_label = "environment steps",
      .y_label = "return",
      .curves = {}};
  for (const Cell& cell : measured.systems) {
    figure.curves.push_back(LearningCurve(cell, measured.cells.at(cell.name),
                                          static_cast<double>(comparison.episodes) * length));
  }
  return CurveFigureSvg(figure);
}

using NamedTables = std::vector<std::pair<std::string, ResultTable>>;

/// Of the cells: the systems first.
NamedTables CellTables(const Measured& measured) {
  const double best = Summarize(FinalReturns(measured.cells.at("true_model"))).mean;
  const auto row = [&](const Cell& cell) {
    return Row(cell, measured.cells.at(cell.name), kGoodShare * best);
  };
  ResultTable systems{
      .title = "The systems",
      .note =
          "Returns are those of two fresh episodes with what was learned in the end. "
          "Steps to 90 % of the true model's return: the median seed's. Model "
          "errors: of the median transition, one step ahead, in deviations of the "
          "base policy's one-step changes, where the base policy goes and where "
          "the controller went. "
          "Imagined and realised return: per plan.",
      .rows = {}};
  for (const Cell& cell : measured.systems) systems.rows.push_back(row(cell));
  NamedTables tables = {{"lecture", std::move(systems)}};
  if (measured.refits.empty()) return tables;
  ResultTable refits{
      .title = "v1.5: steps between fits", .note = "As many gradient steps in all.", .rows = {}};
  for (const Cell& cell : measured.refits) refits.rows.push_back(row(cell));
  tables.emplace_back("refits", std::move(refits));
  return tables;
}

NamedTables StudyTables(const Measured& measured) {
  const auto study = [&](const std::string& name, const std::vector<std::string>& keys) {
    const auto found = measured.studies.find(name);
    return found == measured.studies.end() ? std::vector<Json>() : AverageRows(found->second, keys);
  };
  NamedTables tables = {
      {"replanning",
       {.title = "The more we replan, the less perfect each plan needs to be",
        .note =
            "With what v1.5 has learned: steps between plans, the planner's horizon, its "
            "candidates in the first iteration. A planner goes on from what is left of its last "
            "plan; a plan that is executed for longer than the horizon comes from control in "
            "imagination.",
        .rows = study("replanning", {"replan_every", "horizon", "population"})}},
      {"planners_v0.5",
       {.title = "Who exploits the errors of v0.5's model",
        .note = "Replanned at every step. Imagined and realised return of a plan's steps.",
        .rows = study("planners_v0.5", {"planner"})}},
      {"planners_v1.5",
       {.title = "Who exploits the errors of v1.5's model",
        .note = "Replanned at every step. Imagined and realised return of a plan's steps.",
        .rows = study("planners_v1.5", {"planner"})}},
      {"drifting_car",
       {.title = "The drifting car",
        .note =
            "The model believes that the car drifts to the left by so many degrees. Ten seconds "
            "at 15 m/s, the pavement 1.75 m from the middle of the lane.",
        .rows = study("drifting_car", {"drift_of_model", "replan_every"})}}};
  std::erase_if(tables, [](const auto& table) { return table.second.rows.empty(); });
  return tables;
}

void WriteFiles(const Comparison& comparison, const std::string& figure, const NamedTables& tables,
                int seeds) {
  ComparisonContent content{.title = "From v0.5 to v2.0: " + comparison.task,
                            .subtitle = fmt::format("{} episodes of experience per run, {} seeds",
                                                    comparison.episodes, seeds),
                            .figures = {figure},
                            .tables = {},
                            .machine_json = MachineJson(comparison.threads)};
  for (const auto& [name, table] : tables) {
    WriteFileAtomically(comparison.folder / (name + ".csv"), CsvText(table));
    content.tables.push_back(table);
  }
  WriteFileAtomically(comparison.folder / "lecture.svg", figure);
  WriteFileAtomically(comparison.folder / "lecture.html", ComparisonPage(content));
}

}  // namespace

Json CompareLecture(const Comparison& wanted, int seeds, const std::vector<std::string>& only,
                    const std::stop_token& stop) {
  Comparison comparison = wanted;
  ChooseStudies(only, comparison.studies);
  CheckFolder(comparison);
  const int length = Task::Load(comparison.task, comparison.settings).first.episode_length();
  const Measured measured = Measure(comparison, length, seeds, only, stop);
  NamedTables tables = CellTables(measured);
  if (!measured.studies.empty()) {
    for (auto& table : StudyTables(measured)) tables.push_back(std::move(table));
  }
  WriteFiles(comparison, Figure(comparison, measured, length, seeds), tables, seeds);

  Json answer = {{"task", comparison.task},
                 {"seeds", seeds},
                 {"episodes", comparison.episodes},
                 {"rows", tables.front().second.rows}};
  for (size_t i = 1; i < tables.size(); ++i) answer[tables[i].first] = tables[i].second.rows;
  answer["figure"] = (comparison.folder / "lecture.svg").string();
  answer["table"] = (comparison.folder / "lecture.csv").string();
  answer["page"] = (comparison.folder / "lecture.html").string();
  answer["versions"] = VersionsJson();
  return answer;
}

}  // namespace foreplan

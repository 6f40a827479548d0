#include "foreplan/experiments/fit_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "foreplan/core/config_text.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/report_chart.h"

namespace foreplan {
namespace assets {
extern const std::string_view kFitReportHtml;
extern const std::string_view kReportJs;
}  // namespace assets

namespace {

using Json = nlohmann::ordered_json;

std::string Percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::string PeriodText(double dt) { return fmt::format("{:.6g} s ({:.6g} Hz)", dt, 1 / dt); }

/// Components that change by the same amount in every step, and by how much: 0 for those that stay.
std::vector<std::pair<std::string, double>> SteadyComponents(const DataFitReport& report) {
  const std::vector<double>& change = report.calibration.steady_change;
  std::vector<std::pair<std::string, double>> components;
  for (size_t i = 0; i < report.observation.size(); ++i) {
    if (report.calibration.scale[i] != 0) continue;
    components.emplace_back(report.observation[i].name, i < change.size() ? change[i] : 0.0);
  }
  return components;
}

/// "still".
std::vector<std::string> ConstantComponents(const DataFitReport& report) {
  std::vector<std::string> names;
  for (const auto& [name, change] : SteadyComponents(report)) {
    if (change == 0) names.push_back(name);
  }
  return names;
}

/// "belt (0.02)".
std::vector<std::string> MovingComponents(const DataFitReport& report) {
  std::vector<std::string> texts;
  for (const auto& [name, change] : SteadyComponents(report)) {
    if (change != 0) texts.push_back(fmt::format("{} ({:.6g})", name, change));
  }
  return texts;
}

/// JSON has no infinity: what is not known is null.
double StandardError(const Json& row) {
  return row["standard_error"].is_number() ? row["standard_error"].get<double>() : INFINITY;
}

std::string HowItEnded(const Json& details) {
  const int guesses = details["guesses"];
  return fmt::format("{} after {} iterations{}", details["status"].get<std::string>(),
                     details["iterations"].get<int>(),
                     guesses > 1 ? fmt::format(" from {} guesses", guesses) : "");
}

std::string ParameterText(const Json& details) {
  if (!details.contains("parameters")) return "";
  std::string text = fmt::format("\nparameters ({})\n", HowItEnded(details));
  if (const std::string failure = details["failure"]; !failure.empty()) {
    text += fmt::format("  NOT TO BE RELIED ON: {}\n", failure);
  }
  for (const Json& row : details["parameters"]) {
    const std::string bound = row["at_bound"].get<bool>() ? "  at its bound" : "";
    text += fmt::format("  {:<28}{:>12.6g} ± {:.2g}{}\n", row["name"].get<std::string>(),
                        row["value"].get<double>(), StandardError(row), bound);
  }
  for (const Json& direction : details["not_identifiable"]) {
    text += fmt::format("  not identifiable: {}\n", direction.get<std::string>());
  }
  for (const auto& [name, noise] : details["noise"].items()) {
    text += fmt::format("  {:<28}{:>12.3g} of a spread of {:.3g}\n", "noise of " + name,
                        noise.get<double>(), details["spread"][name].get<double>());
  }
  return text;
}

std::string NoiseTable(const Json& details) {
  TableRows rows;
  for (const auto& [name, noise] : details["noise"].items()) {
    rows.Begin(name)
        .Cell(NumberText(noise.get<double>()))
        .Cell(NumberText(details["spread"][name].get<double>()))
        .End();
  }
  return "    <table class=\"numbers\">\n      <thead><tr><th scope=\"col\">Observation</th>"
         "<th scope=\"col\">Noise</th><th scope=\"col\">Spread of the data</th></tr></thead>\n"
         "      <tbody>\n" +
         rows.html() + "      </tbody>\n    </table>\n";
}

std::string ParameterSection(const Json& details) {
  if (!details.contains("parameters")) return "";
  TableRows rows;
  for (const Json& row : details["parameters"]) {
    rows.Begin(row["name"].get<std::string>())
        .Cell(NumberText(row["value"].get<double>()))
        .Cell(NumberText(StandardError(row)))
        .Cell(row["at_bound"].get<bool>() ? "at its bound" : "")
        .End();
  }
  std::string html = fmt::format("  <section>\n    <h2>Parameters</h2>\n    <p>{}</p>\n",
                                 EscapedForHtml(HowItEnded(details)));
  if (const std::string failure = details["failure"]; !failure.empty()) {
    html += fmt::format("    <p><strong>Not to be relied on: {}</strong></p>\n",
                        EscapedForHtml(failure));
  }
  html +=
      "    <table class=\"numbers\">\n      <thead><tr>"
      "<th scope=\"col\">Name</th><th scope=\"col\">Value</th><th scope=\"col\">Standard error</th>"
      "<th scope=\"col\"></th></tr></thead>\n      <tbody>\n" +
      rows.html() + "      </tbody>\n    </table>\n";
  for (const Json& direction : details["not_identifiable"]) {
    html += fmt::format("    <p>Not identifiable: {}</p>\n",
                        EscapedForHtml(direction.get<std::string>()));
  }
  return html + NoiseTable(details) + "  </section>\n";
}

std::string HorizonRows(const DataFitReport& report) {
  TableRows rows;
  for (size_t i = 0; i < report.observation.size(); ++i) {
    for (const HorizonError* horizon : ShownHorizons(report.calibration)) {
      rows.Begin(LabelOf(report.observation[i]))
          .Cell(fmt::format("{}", horizon->steps))
          .Cell(NumberText(horizon->rmse[i]))
          .Cell(NumberText(horizon->persistence[i]));
      for (const double coverage : horizon->coverage[i]) rows.Cell(Percent(coverage));
      rows.Cell(Percent(horizon->epistemic_share[i])).End();
    }
  }
  return rows.html();
}

std::string Join(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

std::string SummaryRows(const DataFitReport& report) {
  const Calibration& calibration = report.calibration;
  TableRows rows;
  const auto add = [&rows](std::string_view name, std::string_view value) {
    rows.Begin(name).Cell(value).End();
  };
  add("Data", report.data);
  if (!report.task.empty()) add("Task", report.task);
  add("Transitions", fmt::format("{} in {}", Counted(report.transitions, "transition"),
                                 Counted(report.episodes, "episode")));
  if (report.dt > 0) add("Period", PeriodText(report.dt));
  add("Fitted to", fmt::format("{}", calibration.training_rows));
  add("Judged on", fmt::format("{}: {}", calibration.holdout_rows, report.held_out));
  if (report.refitted) add("Afterwards", "fitted to all rows");
  for (const std::string& note : report.notes) add("Note", note);
  if (const auto constant = ConstantComponents(report); !constant.empty()) {
    add("Constant", Join(constant));
  }
  if (const auto moving = MovingComponents(report); !moving.empty()) {
    add("The same change in every step", Join(moving));
  }
  add("Negative log-likelihood, one step", NumberText(calibration.nll));
  add("Novelty, 95 % of the training rows below", NumberText(calibration.novelty.training_95));
  add("Held-out rows above that", Percent(calibration.novelty.holdout_share));
  add("Novelty against error (rank correlation)", NumberText(calibration.novelty.rank_correlation));
  for (const auto& [name, value] : report.metrics) add("Fit: " + name, NumberText(value));
  add("Seconds", NumberText(report.seconds));
  return rows.html();
}

std::string MemberRows(const DataFitReport& report) {
  TableRows rows;
  for (size_t k = 0; k < report.calibration.members.size(); ++k) {
    const MemberError& member = report.calibration.members[k];
    rows.Begin(fmt::format("{}", k))
        .Cell(NumberText(member.rmse))
        .Cell(NumberText(member.nll))
        .End();
  }
  return rows.html();
}

}  // namespace

std::vector<const HorizonError*> ShownHorizons(const Calibration& calibration) {
  constexpr std::array kShown = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
  std::vector<const HorizonError*> shown;
  for (const HorizonError& horizon : calibration.horizons) {
    const bool is_last = &horizon == &calibration.horizons.back();
    if (is_last || std::ranges::find(kShown, horizon.steps) != kShown.end()) {
      shown.push_back(&horizon);
    }
  }
  return shown;
}

double ScaledError(const Calibration& calibration, const HorizonError& horizon) {
  double squares = 0;
  double components = 0;
  for (size_t i = 0; i < calibration.scale.size(); ++i) {
    if (calibration.scale[i] == 0) continue;
    squares += std::pow(horizon.rmse[i] / calibration.scale[i], 2);
    ++components;
  }
  return components > 0 ? std::sqrt(squares / components) : 0;
}

double Coverage(const Calibration& calibration, const HorizonError& horizon, size_t level) {
  double sum = 0;
  double components = 0;
  for (size_t i = 0; i < calibration.scale.size(); ++i) {
    if (calibration.scale[i] == 0) continue;
    sum += horizon.coverage[i][level];
    ++components;
  }
  return components > 0 ? sum / components : 0;
}

nlohmann::ordered_json CalibrationCharts(const Calibration& calibration,
                                         const std::vector<Component>& observation) {
  const auto column = [&](const auto& value) {
    std::vector<double> values;
    for (const HorizonError& horizon : calibration.horizons) values.push_back(value(horizon));
    return values;
  };
  const std::vector<double> steps = column([](const HorizonError& h) { return h.steps; });
  const auto chart_of = [&steps](const std::string& title, const std::string& unit) {
    return ReportChart(title, unit, "steps ahead", steps);
  };
  Json charts = Json::array();

  Json coverage = chart_of("Coverage", "share of held-out observations inside the interval");
  coverage["wide"] = true;
  for (size_t level = 0; level < kCalibrationLevels.size(); ++level) {
    AddSeries(coverage, Percent(kCalibrationLevels[level]) + " interval",
              column([&](const HorizonError& h) { return Coverage(calibration, h, level); }));
  }
  charts.push_back(std::move(coverage));
  for (size_t i = 0; i < observation.size(); ++i) {
    const std::string& unit = observation[i].unit;
    Json chart = chart_of("Error of " + observation[i].name,
                          (unit.empty() ? "" : unit + ", ") + "root mean square");
    AddSeries(chart, "model", column([i](const HorizonError& h) { return h.rmse[i]; }));
    AddSeries(chart, "if nothing changed",
              column([i](const HorizonError& h) { return h.persistence[i]; }));
    charts.push_back(std::move(chart));
  }
  Json epistemic = chart_of("Epistemic share", "of the predicted variance");
  for (size_t i = 0; i < observation.size(); ++i) {
    AddSeries(epistemic, observation[i].name,
              column([i](const HorizonError& h) { return h.epistemic_share[i]; }));
  }
  charts.push_back(std::move(epistemic));
  return charts;
}

std::string LabelOf(const Component& component) {
  return component.unit.empty() ? component.name
                                : fmt::format("{} [{}]", component.name, component.unit);
}

std::string FitText(const DataFitReport& report) {
  const Calibration& calibration = report.calibration;
  std::string text = fmt::format("{}: {} in {}; fitted to {}, judged on {} ({}), in {:.1f} s\n",
                                 report.data, Counted(report.transitions, "transition"),
                                 Counted(report.episodes, "episode"), calibration.training_rows,
                                 calibration.holdout_rows, report.held_out, report.seconds);
  if (report.dt > 0) text += fmt::format("period: {}\n", PeriodText(report.dt));
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
  if (const auto constant = ConstantComponents(report); !constant.empty()) {
    text += fmt::format("constant in the data, predicted to stay: {}\n", Join(constant));
  }
  if (const auto moving = MovingComponents(report); !moving.empty()) {
    text += fmt::format("the same change in every step of the data, and so predicted: {}\n",
                        Join(moving));
  }
  text += ParameterText(Json::parse(report.details));
  text += fmt::format("\n{:<24}{:>6}{:>12}{:>12}{:>8}{:>8}{:>8}{:>11}\n", "component", "steps",
                      "error (rms)", "unchanged", "in 50 %", "in 90 %", "in 95 %", "epistemic");
  for (size_t i = 0; i < report.observation.size(); ++i) {
    for (const HorizonError* horizon : ShownHorizons(calibration)) {
      text += fmt::format("{:<24}{:>6}{:>12.4g}{:>12.4g}", LabelOf(report.observation[i]),
                          horizon->steps, horizon->rmse[i], horizon->persistence[i]);
      for (const double coverage : horizon->coverage[i]) {
        text += fmt::format("{:>8}", Percent(coverage));
      }
      text += fmt::format("{:>11}\n", Percent(horizon->epistemic_share[i]));
    }
  }
  text += fmt::format(
      "\none step: negative log-likelihood {:.3f} per component\n"
      "novelty: {} of the held-out rows above 95 % of the training rows; rank correlation with the "
      "error {:.2f}\n",
      calibration.nll, Percent(calibration.novelty.holdout_share),
      calibration.novelty.rank_correlation);
  return text;
}

namespace {

Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json HorizonsJson(const DataFitReport& report) {
  const Calibration& calibration = report.calibration;
  Json horizons = Json::array();
  for (const HorizonError& horizon : calibration.horizons) {
    Json components = Json::object();
    for (size_t i = 0; i < report.observation.size(); ++i) {
      components[report.observation[i].name] = {
          {"rmse", Number(horizon.rmse[i])},
          {"rmse_unchanged", horizon.persistence[i]},
          {"coverage_50", horizon.coverage[i][0]},
          {"coverage_90", horizon.coverage[i][1]},
          {"coverage_95", horizon.coverage[i][2]},
          {"epistemic_share", Number(horizon.epistemic_share[i])}};
    }
    horizons.push_back({{"steps", horizon.steps},
                        {"starts", horizon.starts},
                        {"rmse_in_scale", Number(ScaledError(calibration, horizon))},
                        {"components", std::move(components)}});
  }
  return horizons;
}

}  // namespace

Json FitJson(const DataFitReport& report) {
  const Calibration& calibration = report.calibration;
  Json members = Json::array();
  for (const MemberError& member : calibration.members) {
    members.push_back({{"rmse_in_scale", Number(member.rmse)}, {"nll", Number(member.nll)}});
  }
  Json fit = Json::object();
  for (const auto& [name, value] : report.metrics) fit[name] = Number(value);
  Json scale = Json::object();
  for (size_t i = 0; i < report.observation.size(); ++i) {
    scale[report.observation[i].name] = calibration.scale[i];
  }
  Json steady = Json::object();
  for (const auto& [name, change] : SteadyComponents(report)) {
    if (change != 0) steady[name] = change;
  }
  return {{"data", report.data},
          {"task", report.task.empty() ? Json() : Json(report.task)},
          {"seed", report.seed},
          {"transitions", report.transitions},
          {"episodes", report.episodes},
          {"period", report.dt > 0 ? Json(report.dt) : Json()},
          {"training_rows", calibration.training_rows},
          {"holdout_rows", calibration.holdout_rows},
          {"held_out", report.held_out},
          {"refitted", report.refitted},
          {"notes", report.notes},
          {"constant", ConstantComponents(report)},
          {"constant_change", std::move(steady)},
          {"scale", std::move(scale)},
          {"fit", std::move(fit)},
          {"model", Json::parse(report.details)},
          {"nll", Number(calibration.nll)},
          {"members", std::move(members)},
          {"novelty",
           {{"training_95", Number(calibration.novelty.training_95)},
            {"holdout_median", Number(calibration.novelty.holdout_median)},
            {"holdout_share", calibration.novelty.holdout_share},
            {"rank_correlation", calibration.novelty.rank_correlation}}},
          {"horizons", HorizonsJson(report)},
          {"seconds", report.seconds},
          {"directory", report.folder}};
}

std::string CalibrationCsv(const DataFitReport& report) {
  std::string csv =
      "steps,component,starts,rmse,rmse_unchanged,coverage_50,coverage_90,coverage_95,"
      "epistemic_share\n";
  for (const HorizonError& horizon : report.calibration.horizons) {
    for (size_t i = 0; i < report.observation.size(); ++i) {
      csv += fmt::format("{},{},{},{},{},{},{},{},{}\n", horizon.steps, report.observation[i].name,
                         horizon.starts, horizon.rmse[i], horizon.persistence[i],
                         horizon.coverage[i][0], horizon.coverage[i][1], horizon.coverage[i][2],
                         horizon.epistemic_share[i]);
    }
  }
  return csv;
}

std::string FitPage(const DataFitReport& report, const std::string& config_toml,
                    const std::string& machine_json) {
  const Calibration& calibration = report.calibration;
  const HorizonError& first = calibration.horizons.front();
  const HorizonError& last = calibration.horizons.back();
  const std::string cards =
      CardHtml("Transitions", fmt::format("{}", report.transitions)) +
      CardHtml("Error, one step", NumberText(ScaledError(calibration, first)) + " σ") +
      CardHtml("In the 90 % interval, one step", Percent(Coverage(calibration, first, 1))) +
      CardHtml(fmt::format("In it, {} steps", last.steps), Percent(Coverage(calibration, last, 1)));
  return FillPage(
      assets::kFitReportHtml,
      {{"title", EscapedForHtml(report.task.empty() ? "Fit" : "Fit of " + report.task)},
       {"subtitle", EscapedForHtml(fmt::format("{}, seed {}", report.data, report.seed))},
       {"cards", cards},
       {"summary_rows", SummaryRows(report)},
       {"parameters", ParameterSection(Json::parse(report.details))},
       {"horizon_rows", HorizonRows(report)},
       {"member_rows", MemberRows(report)},
       {"config", EscapedForHtml(config_toml)},
       {"machine", EscapedForHtml(machine_json)},
       {"data",
        JsonForScript({{"charts", CalibrationCharts(report.calibration, report.observation)}})},
       {"script", std::string(assets::kReportJs)}});
}

}  // namespace foreplan

#include "foreplan/runs/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/config_text.h"
#include "foreplan/data/base64.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/returns.h"
#include "foreplan/runs/summary.h"

namespace foreplan {
namespace assets {
extern const std::string_view kReportHtml;
extern const std::string_view kReportJs;
}  // namespace assets

namespace {

std::string Return(double value) {
  if (!std::isfinite(value)) return "–";
  return (std::signbit(value) ? "−" : "") + fmt::format("{:.1f}", std::abs(value));
}

std::string Seconds(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long>(seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

// As many as the mean is of.
std::string Cards(const ReportContent& content, const RunLog& log) {
  const WholeReturns whole = WholeReturnsOf(log.episodes());
  const int total_steps = log.episodes().empty() ? 0 : log.episodes().back().total_steps;
  std::string html;
  const auto add = [&html](std::string_view label, const std::string& value) {
    html += CardHtml(label, value);
  };
  add("Best return", Return(Summarize(whole.returns).max));
  add(fmt::format("Mean of the last {}", whole.last_count()), Return(whole.MeanOfLast()));
  add("Steps of experience", fmt::format("{}", total_steps));
  add("Wall time", Seconds(content.wall_seconds));
  return html;
}

std::string SummaryRows(const ReportContent& content, const RunLog& log) {
  const WholeReturns whole = WholeReturnsOf(log.episodes());
  TableRows rows;
  const auto add = [&rows](std::string_view name, std::string_view value) {
    rows.Begin(name).Cell(value).End();
  };
  add("Task", content.task);
  add("Algorithm", content.algorithm);
  if (!content.planner.empty()) add("Planner", content.planner);
  add("Seed", fmt::format("{}", content.seed));
  add("Status", content.status);
  for (const Difference& difference : content.accepted) {
    add("Does not repeat to the bit", AcceptedText(difference));
  }
  add("Episodes", fmt::format("{}", log.episodes().size()));
  if (!whole.LeftOut().empty()) add("of them left out of best and mean", whole.LeftOut());
  add("Steps", fmt::format("{}", log.episodes().empty() ? 0 : log.episodes().back().total_steps));
  add("Best return", whole.returns.empty()
                         ? "–"
                         : fmt::format("{} (episode {})", Return(whole.returns[whole.best()]),
                                       whole.episodes[whole.best()]));
  add(fmt::format("Mean return of the last {}", Counted(whole.last_count(), "episode")),
      Return(whole.MeanOfLast()));
  add("Wall time", Seconds(content.wall_seconds));
  add("of it planning", Seconds(content.planning_seconds));
  add("of it fitting", Seconds(content.fitting_seconds));
  return rows.html();
}

std::string EndOf(const EpisodeRow& row) {
  if (row.end == EpisodeEnd::kLength) return "";
  if (row.end == EpisodeEnd::kCutOff) return "cut off";
  return std::string(NameOf(row.end)) + (row.note.empty() ? "" : ": " + row.note);
}

std::string EpisodeRows(const RunLog& log) {
  TableRows rows;
  for (const EpisodeRow& row : log.episodes()) {
    rows.Begin(fmt::format("{}", row.episode))
        .Cell(NumberText(row.episode_return))
        .Cell(fmt::format("{}", row.steps))
        .Cell(fmt::format("{}", row.total_steps))
        .Cell(row.controller)
        .Cell(EndOf(row))
        .End();
  }
  return rows.html();
}

using MetricsByName = std::map<std::string, std::vector<const MetricRow*>>;

MetricsByName GroupMetrics(const RunLog& log) {
  MetricsByName metrics;
  for (const MetricRow& row : log.metrics()) metrics[row.name].push_back(&row);
  return metrics;
}

std::string MetricRows(const MetricsByName& metrics) {
  TableRows rows;
  for (const auto& [name, points] : metrics) {
    std::vector<double> values;
    for (const MetricRow* point : points) values.push_back(point->value);
    const Summary summary = Summarize(values);
    rows.Begin(name)
        .Cell(fmt::format("{}", values.size()))
        .Cell(NumberText(values.front()))
        .Cell(NumberText(values.back()))
        .Cell(NumberText(summary.mean))
        .Cell(NumberText(summary.min))
        .Cell(NumberText(summary.max))
        .End();
  }
  return rows.html();
}

/// What the charts draw, as columns: {"episodes": {...}, "metrics": {"name": {...}}}.
nlohmann::ordered_json ChartData(const RunLog& log, const MetricsByName& metrics) {
  nlohmann::ordered_json data;
  data["episodes"] = EpisodeColumns(log);
  data["metrics"] = nlohmann::ordered_json::object();
  for (const auto& [name, points] : metrics) {
    nlohmann::ordered_json& columns = data["metrics"][name];
    for (const MetricRow* point : points) {
      columns["episode"].push_back(point->episode);
      columns["total_steps"].push_back(point->total_steps);
      columns["value"].push_back(point->value);
    }
  }
  return data;
}

/// What the returns say, in words.
std::string InWords(const ReportContent& content, const RunLog& log) {
  const WholeReturns whole = WholeReturnsOf(log.episodes());
  if (whole.returns.empty()) return "No episode is whole yet.";
  std::string text = fmt::format(
      "{} of {} by {}, {} of experience. ", Counted(log.episodes().size(), "episode"), content.task,
      content.algorithm, Counted(log.episodes().back().total_steps, "step"));
  const std::string first =
      fmt::format("The first episode ({}) earned {}", log.episodes().front().controller,
                  Return(whole.returns.front()));
  if (whole.returns.size() == 1) return text + first + ".";
  const size_t best = whole.best();
  text += fmt::format("{}, the last {} {} on average, the best (episode {}) {}.", first,
                      whole.last_count(), Return(whole.MeanOfLast()), whole.episodes[best],
                      Return(whole.returns[best]));
  std::string separator = " On fresh episodes earn: ";
  for (const auto& level : content.levels) {
    text += fmt::format("{}{} {}", std::exchange(separator, ", "),
                        level["label"].get<std::string>(), Return(level["value"].get<double>()));
  }
  return text;
}

/// The replay of an episode, or why there is none.
std::string ReplayHtml(const ReportContent& content) {
  if (content.animation.empty()) {
    return fmt::format("  <p class=\"muted\">No replay: {}</p>\n",
                       EscapedForHtml(content.no_animation));
  }
  return "  <div id=\"replay\" class=\"replay\"></div>\n"
         "  <noscript><p>The replay needs JavaScript.</p></noscript>\n"
         "  <script type=\"text/plain\" id=\"animation\">" +
         Base64Of(content.animation) + "</script>\n";
}

}  // namespace

nlohmann::ordered_json EpisodeColumns(const RunLog& log) {
  nlohmann::ordered_json columns;
  for (const char* column : {"episode", "total_steps", "return", "controller"}) {
    columns[column] = nlohmann::ordered_json::array();
  }
  for (const EpisodeRow& row : log.episodes()) {
    columns["episode"].push_back(row.episode);
    columns["total_steps"].push_back(row.total_steps);
    columns["return"].push_back(IsWhole(row.end) ? nlohmann::ordered_json(row.episode_return)
                                                 : nlohmann::ordered_json());
    columns["controller"].push_back(row.controller);
  }
  return columns;
}

std::string ReportPage(const ReportContent& content, const RunLog& log) {
  const MetricsByName metrics = GroupMetrics(log);
  nlohmann::ordered_json data = ChartData(log, metrics);
  data["charts"] = content.charts;
  data["levels"] = content.levels;
  return FillPage(assets::kReportHtml,
                  {{"task", EscapedForHtml(content.task)},
                   {"algorithm", EscapedForHtml(content.algorithm)},
                   {"method", EscapedForHtml(content.planner.empty()
                                                 ? content.algorithm
                                                 : content.algorithm + " with " + content.planner)},
                   {"seed", fmt::format("{}", content.seed)},
                   {"status", EscapedForHtml(content.status)},
                   {"status_class", content.status == "done" ? "done" : "stopped"},
                   {"cards", Cards(content, log)},
                   {"summary_rows", SummaryRows(content, log)},
                   {"episode_rows", EpisodeRows(log)},
                   {"metric_rows", MetricRows(metrics)},
                   {"config", EscapedForHtml(content.config_toml)},
                   {"machine", EscapedForHtml(content.machine_json)},
                   {"words", EscapedForHtml(InWords(content, log))},
                   {"replay", ReplayHtml(content)},
                   {"animation_scripts", content.animation.empty() ? "" : AnimationScripts()},
                   {"data", JsonForScript(data)},
                   {"script", std::string(assets::kReportJs)}});
}

}  // namespace foreplan

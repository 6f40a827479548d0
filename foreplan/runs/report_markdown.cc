#include "foreplan/runs/report_markdown.h"

#include <fmt/format.h>

#include <map>
#include <string_view>
#include <vector>

#include "foreplan/core/config_text.h"
#include "foreplan/runs/markdown.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/returns.h"
#include "foreplan/runs/sparkline.h"
#include "foreplan/runs/status_line.h"
#include "foreplan/runs/summary.h"

namespace foreplan {
namespace {

constexpr size_t kMostRows = 30;  // of episodes, but for the last
constexpr int kCurveColumns = 60;

using Rows = std::vector<std::vector<std::string>>;

std::string Title(const ReportContent& content) {
  const std::string planner =
      content.planner.empty() ? "" : fmt::format(" with {}", MarkdownCode(content.planner));
  return fmt::format("### {}: {}{}, seed {}\n\nStatus: {}\n\n", MarkdownCode(content.task),
                     MarkdownCode(content.algorithm), planner, content.seed,
                     MarkdownCode(content.status));
}

std::string BestReturn(const WholeReturns& whole) {
  if (whole.returns.empty()) return NumberText(Summarize({}).max);
  return fmt::format("{} (episode {})", NumberText(whole.returns[whole.best()]),
                     whole.episodes[whole.best()]);
}

std::string Cards(const ReportContent& content, const RunLog& log) {
  const WholeReturns whole = WholeReturnsOf(log.episodes());
  const int steps = log.episodes().empty() ? 0 : log.episodes().back().total_steps;
  Rows rows = {{"Best return", BestReturn(whole)},
               {fmt::format("Mean of the last {}", Counted(whole.last_count(), "whole episode")),
                NumberText(whole.MeanOfLast())},
               {"Episodes", fmt::format("{}", log.episodes().size())}};
  if (!whole.LeftOut().empty()) rows.push_back({"of them left out", whole.LeftOut()});
  for (const Difference& difference : content.accepted) {
    rows.push_back({"Does not repeat to the bit", AcceptedText(difference)});
  }
  rows.push_back({"Steps of experience", fmt::format("{}", steps)});
  rows.push_back({"Wall time", DurationText(content.wall_seconds)});
  rows.push_back({"of it planning", DurationText(content.planning_seconds)});
  rows.push_back({"of it fitting", DurationText(content.fitting_seconds)});
  return MarkdownTable({"", ""}, rows) + "\n";
}

std::string Curve(const RunLog& log) {
  if (log.episodes().size() < 2) return "";
  const std::string curve = Sparkline(ReturnsWithGaps(log.episodes()), kCurveColumns);
  return "Returns, by episode:\n" + MarkdownBlock("", curve) + "\n";
}

std::string EndText(const EpisodeRow& row) {
  if (row.note.empty()) return std::string(NameOf(row.end));
  return fmt::format("{}: {}", NameOf(row.end), MarkdownCode(row.note));
}

std::vector<std::string> EpisodeCells(const EpisodeRow& row) {
  return {fmt::format("{}", row.episode), NumberText(row.episode_return),
          fmt::format("{}", row.steps),   fmt::format("{}", row.total_steps),
          MarkdownCode(row.controller),   EndText(row)};
}

/// Every nth from the first on, n as small as kMostRows allow, and the last.
std::string Episodes(const RunLog& log) {
  const std::vector<EpisodeRow>& all = log.episodes();
  if (all.empty()) return "No episode has ended.\n\n";
  const size_t stride = (all.size() + kMostRows - 1) / kMostRows;
  Rows rows;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % stride == 0 || i + 1 == all.size()) rows.push_back(EpisodeCells(all[i]));
  }
  std::string text =
      MarkdownTable({"episode", "return", "steps", "steps in all", "controller", "end"}, rows);
  if (stride > 1) {
    text += fmt::format("\nEpisode 1, one of every {} after it, and the last, of {} in all.\n",
                        stride, all.size());
  }
  return text + "\n";
}

std::string Metrics(const RunLog& log) {
  std::map<std::string, const MetricRow*> last;
  for (const MetricRow& row : log.metrics()) last[row.name] = &row;
  if (last.empty()) return "";
  Rows rows;
  for (const auto& [name, row] : last) {
    rows.push_back({MarkdownCode(name), NumberText(row->value), fmt::format("{}", row->episode)});
  }
  return MarkdownDetails("Last values of the metrics",
                         MarkdownTable({"metric", "last value", "in episode"}, rows)) +
         "\n";
}

}  // namespace

std::string ReportMarkdown(const ReportContent& content, const RunLog& log) {
  return Title(content) + Cards(content, log) + Curve(log) + Episodes(log) + Metrics(log) +
         MarkdownDetails("Settings", MarkdownBlock("toml", content.config_toml)) + "\n" +
         MarkdownDetails("Machine", MarkdownBlock("json", content.machine_json));
}

}  // namespace foreplan

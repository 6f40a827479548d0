#include "foreplan/experiments/comparison/comparison_documents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/config_text.h"
#include "foreplan/experiments/comparison/resampling.h"
#include "foreplan/runs/markdown.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/plain_text.h"
#include "foreplan/runs/table.h"

namespace foreplan {
namespace assets {
extern const std::string_view kComparisonCss;
extern const std::string_view kComparisonOfRunsHtml;
extern const std::string_view kReportCss;
}  // namespace assets

namespace {

using Json = nlohmann::ordered_json;
/// How a document writes a name: as HTML, say.
using Naming = std::function<std::string(std::string_view)>;

constexpr std::string_view kNothing = "–";
constexpr size_t kMostSentences = 3;  // more differences are folded

std::string Number(const Json& value) {
  return value.is_null() ? std::string(kNothing) : NumberText(value.get<double>());
}

/// "171.5 ± 7.3"
std::string WithError(const Json& value, const Json& error) {
  return error.is_null() ? Number(value) : fmt::format("{} ± {}", Number(value), Number(error));
}

/// "[165.2, 178.8]"
std::string Ends(const Json& interval) {
  if (interval.is_null()) return std::string(kNothing);
  return fmt::format("[{}, {}]", Number(interval[0]), Number(interval[1]));
}

std::string WithEnds(const Json& value, const Json& interval) {
  return interval.is_null() ? Number(value) : fmt::format("{} {}", Number(value), Ends(interval));
}

/// What the two have, or why nothing can be said.
std::string ChanceText(const Json& difference, const Naming& name) {
  return fmt::format("A run of {} earns more than one of {} with probability {}.",
                     name(difference["name"].get<std::string>()),
                     name(difference["reference"].get<std::string>()),
                     WithEnds(difference["probability_of_improvement"],
                              difference["probability_of_improvement_ci95"]));
}

bool HoldsZero(double low, double high) { return low <= 0 && 0 <= high; }

enum class Verdict : uint8_t {
  kNone,     // there is no interval
  kEqual,    // both hold 0
  kDiffer,   // both leave it out
  kUnknown,  // only one does
};

/// By both intervals of a difference: that of few runs drawn again is too narrow (resampling.h),
/// that of Student's t leans on normal returns.
Verdict VerdictOn(const Json& difference) {
  const Json& drawn = difference["bootstrap_ci95"];
  if (drawn.is_null()) return Verdict::kNone;
  const double mean = difference["mean"].get<double>();
  const double half = difference["ci95"].get<double>();
  const bool drawn_holds = HoldsZero(drawn[0].get<double>(), drawn[1].get<double>());
  const bool t_holds = HoldsZero(mean - half, mean + half);
  if (drawn_holds && t_holds) return Verdict::kEqual;
  return !drawn_holds && !t_holds ? Verdict::kDiffer : Verdict::kUnknown;
}

std::string_view VerdictText(const Json& difference) {
  switch (VerdictOn(difference)) {
    case Verdict::kNone:
      return kNothing;
    case Verdict::kEqual:
      return "not told apart";
    case Verdict::kDiffer:
      return "differ";
    case Verdict::kUnknown:
      break;
  }
  return "too few runs";
}

std::string TestText(const Json& difference) {
  const double mean = difference["mean"].get<double>();
  switch (VerdictOn(difference)) {
    case Verdict::kNone:
      return fmt::format("A bootstrap interval takes {} runs of each.", kFewestResampled);
    case Verdict::kEqual:
      return "It holds 0: these runs do not tell the two apart.";
    case Verdict::kDiffer:
      return "It leaves out 0, as does that of Student's t.";
    case Verdict::kUnknown:
      break;
  }
  const double half = difference["ci95"].get<double>();
  const bool t_holds = HoldsZero(mean - half, mean + half);
  return fmt::format("It {}, that of Student's t, {} to {}, {}: these runs are too few to tell.",
                     t_holds ? "leaves out 0" : "holds 0", NumberText(mean - half),
                     NumberText(mean + half), t_holds ? "does not" : "leaves it out");
}

std::string DifferenceText(const Json& difference, const Naming& name) {
  const std::string first = name(difference["name"].get<std::string>());
  const std::string second = name(difference["reference"].get<std::string>());
  if (difference["mean"].is_null()) {
    return fmt::format("{} against {}: a run without a whole episode, so no difference is known.",
                       first, second);
  }
  const double mean = difference["mean"].get<double>();
  const Json& interval = difference["bootstrap_ci95"];
  const std::string drawn = difference["paired"].get<bool>()
                                ? "pairs of one seed drawn again"
                                : "runs of each drawn again, as their seeds differ";
  const std::string of_mean =
      interval.is_null() ? ""
                         : fmt::format(" (95 % bootstrap interval {}, {})", Ends(interval), drawn);
  return fmt::format("{} earns {} {} than {} in the mean{}. {} {}", first,
                     NumberText(std::abs(mean)), mean < 0 ? "less" : "more", second, of_mean,
                     TestText(difference), ChanceText(difference, name));
}

/// One in twenty intervals leaves out what it should hold.
std::string ManyText(const Json& differences) {
  if (differences.size() < 2) return "";
  return fmt::format(
      "Each interval misses the truth in 5 % of cases, and there are {} differences: the more, the "
      "sooner one leaves out 0 by chance.",
      differences.size());
}

std::set<std::string> TasksOf(const Json& groups) {
  std::set<std::string> tasks;
  for (const Json& group : groups) tasks.insert(group["task"].get<std::string>());
  return tasks;
}

std::string TitleOf(const Json& answer, const Naming& name) {
  const std::set<std::string> tasks = TasksOf(answer["groups"]);
  if (tasks.size() != 1) return fmt::format("Comparison of {} tasks", tasks.size());
  return fmt::format("Comparison on {}", name(*tasks.begin()));
}

std::string SubtitleOf(const Json& answer) {
  const bool is_one_task = TasksOf(answer["groups"]).size() < 2;
  return fmt::format(
      "{}, {}{}", Counted(answer["groups"].size(), "group"), Counted(answer["runs"].size(), "run"),
      is_one_task ? "" : "; of different tasks, whose returns may mean different things");
}

/// Keys by which groups are named, in order.
std::set<std::string> KeysOf(const Json& groups) {
  std::set<std::string> keys;
  for (const Json& group : groups) {
    for (const auto& [key, value] : group["settings"].items()) keys.insert(key);
  }
  return keys;
}

std::string SettingOf(const Json& group, const std::string& key) {
  const auto found = group["settings"].find(key);
  return found == group["settings"].end() ? std::string(kNothing) : found->get<std::string>();
}

/// What stands beside numbers: "imagined; seed 3: 1 diverged".
std::string RemarkOf(const Json& group) {
  std::vector<std::string> remarks;
  if (group["imagined"].get<bool>()) remarks.emplace_back("imagined");
  for (const char* key : {"left_out", "changed"}) {
    if (!group[key].get_ref<const std::string&>().empty()) remarks.push_back(group[key]);
  }
  return fmt::format("{}", fmt::join(remarks, "; "));
}

// --- the page
// -------------------------------------------------------------------------------------

std::string EscapedText(std::string_view text) { return EscapedForHtml(PlainText(text)); }

/// `tag` is "td" or "th" with its attributes.
std::string Cells(std::string_view tag, const std::vector<std::string>& cells) {
  std::string html;
  for (const std::string& cell : cells) {
    html += fmt::format("<{0}>{1}</{2}>", tag, EscapedText(cell), tag.substr(0, 2));
  }
  return html;
}

/// A table that is moved sideways where it is too wide.
std::string TableHtml(const std::vector<std::string>& header,
                      const std::vector<std::vector<std::string>>& rows) {
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\">\n<thead><tr>{}</tr></thead>\n"
      "<tbody>\n",
      Cells("th scope=\"col\"", header));
  for (const std::vector<std::string>& row : rows) {
    html += fmt::format("<tr>{}{}</tr>\n", Cells("th scope=\"row\"", {row.front()}),
                        Cells("td", {row.begin() + 1, row.end()}));
  }
  return html + "</tbody></table></div>\n";
}

std::string GroupTable(const Json& groups) {
  const bool has_remarks =
      std::ranges::any_of(groups, [](const Json& group) { return !RemarkOf(group).empty(); });
  std::vector<std::string> header = {
      "group", "seeds", "mean ± 95 %", "interquartile mean", "95 % of it", "best episode"};
  if (has_remarks) header.emplace_back("remark");
  std::vector<std::vector<std::string>> rows;
  for (const Json& group : groups) {
    rows.push_back({group["name"].get<std::string>(), fmt::format("{}", group["seeds"].size()),
                    WithError(group["final_return_mean"], group["final_return_ci95"]),
                    Number(group["final_return_iqm"]), Ends(group["final_return_iqm_ci95"]),
                    Number(group["best_return"])});
    if (has_remarks) rows.back().push_back(RemarkOf(group));
  }
  return TableHtml(header, rows);
}

std::string DifferenceTable(const Json& differences) {
  if (differences.empty()) return "<p>There is one group only.</p>\n";
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : differences) {
    rows.push_back({row["name"].get<std::string>(), WithError(row["mean"], row["ci95"]),
                    Ends(row["bootstrap_ci95"]), Number(row["probability_of_improvement"]),
                    Ends(row["probability_of_improvement_ci95"]),
                    row["paired"].get<bool>() ? "the same" : "others",
                    std::string(VerdictText(row))});
  }
  return TableHtml({"group", "difference ± 95 %", "bootstrap 95 %", "probability of improvement",
                    "95 % of it", "seeds", "verdict"},
                   rows);
}

std::string SettingTable(const Json& groups) {
  const std::set<std::string> keys = KeysOf(groups);
  if (keys.empty()) return "<p>The runs differ in their seeds alone.</p>\n";
  std::vector<std::string> header = {"group"};
  header.insert(header.end(), keys.begin(), keys.end());
  std::vector<std::vector<std::string>> rows;
  for (const Json& group : groups) {
    std::vector<std::string> row = {group["name"].get<std::string>()};
    for (const std::string& key : keys) row.push_back(SettingOf(group, key));
    rows.push_back(std::move(row));
  }
  return TableHtml(header, rows);
}

std::string RunTable(const Json& runs) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& run : runs) {
    rows.push_back({run["group"].get<std::string>(), run["seed"].dump(), run["episodes"].dump(),
                    run["total_steps"].dump(), Number(run["final_return"]),
                    run["folder"].get<std::string>()});
  }
  return TableHtml({"group", "seed", "episodes", "steps", "mean of the last", "folder"}, rows);
}

std::string DifferenceParagraphs(const Json& differences) {
  std::string html;
  for (const Json& difference : differences) {
    html += fmt::format("<p>{}</p>\n", DifferenceText(difference, EscapedText));
  }
  if (differences.size() > kMostSentences) {
    html =
        fmt::format("<details><summary>The differences in words</summary>\n{}</details>\n", html);
  }
  const std::string many = ManyText(differences);
  return many.empty() ? html : html + fmt::format("<p>{}</p>\n", many);
}

std::string CommandHtml(const std::string& command) {
  if (command.empty()) return "";
  return fmt::format("<h2>Once more</h2>\n<pre class=\"command\">{}</pre>\n", EscapedText(command));
}

std::string ReferenceOf(const Json& groups) {
  return groups.empty() ? std::string(kNothing) : groups[0]["name"].get<std::string>();
}

// --- Markdown
// -------------------------------------------------------------------------------------

std::string GroupTableOfMarkdown(const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& group : answer["groups"]) {
    std::vector<std::string> row = {
        MarkdownCode(group["name"].get<std::string>()),
        fmt::format("{}", group["seeds"].size()),
        WithError(group["final_return_mean"], group["final_return_ci95"]),
        WithEnds(group["final_return_iqm"], group["final_return_iqm_ci95"]),
        "",
        "",
        Number(group["best_return"]),
        MarkdownCode(RemarkOf(group))};
    for (const Json& difference : answer["differences"]) {
      if (difference["name"] != group["name"]) continue;
      row[4] = WithEnds(difference["mean"], difference["bootstrap_ci95"]);
      row[5] = WithEnds(difference["probability_of_improvement"],
                        difference["probability_of_improvement_ci95"]);
    }
    rows.push_back(std::move(row));
  }
  return MarkdownTable({"group", "seeds", "mean ± 95 %", "interquartile mean", "difference",
                        "probability of improvement", "best episode", "remark"},
                       rows);
}

}  // namespace

std::string ComparedRunsPage(const ComparisonDocument& document) {
  const Json& answer = document.answer;
  return FillPage(
      assets::kComparisonOfRunsHtml,
      {{"title", TitleOf(answer, EscapedText)},
       {"subtitle", SubtitleOf(answer)},
       {"figure", document.figure},
       {"narrow_figure", document.narrow_figure},
       {"description", EscapedText(document.description)},
       {"groups", GroupTable(answer["groups"])},
       {"reference", EscapedText(ReferenceOf(answer["groups"]))},
       {"differences", DifferenceTable(answer["differences"])},
       {"sentences", DifferenceParagraphs(answer["differences"])},
       {"settings", SettingTable(answer["groups"])},
       {"runs", RunTable(answer["runs"])},
       {"command", CommandHtml(document.command)},
       {"style", std::string(assets::kReportCss) + std::string(assets::kComparisonCss)}});
}

std::string ComparedRunsMarkdown(const ComparisonDocument& document) {
  const Json& answer = document.answer;
  std::string text = fmt::format(
      "### {}\n\n{}. Of a run counts the mean return of its last 5 whole episodes; in brackets 95 "
      "% "
      "bootstrap intervals over runs.\n\n{}\n",
      TitleOf(answer, MarkdownCode), SubtitleOf(answer), GroupTableOfMarkdown(answer));
  std::string sentences;
  for (const Json& difference : answer["differences"]) {
    sentences += DifferenceText(difference, MarkdownCode) + "\n\n";
  }
  text += answer["differences"].size() <= kMostSentences
              ? sentences
              : MarkdownDetails("The differences in words", sentences) + "\n";
  const std::string many = ManyText(answer["differences"]);
  if (!many.empty()) text += many + "\n\n";
  if (document.command.empty()) return text;
  return text + MarkdownBlock("sh", PlainText(document.command));
}

}  // namespace foreplan

// A comparison of runs for people: a page, and Markdown for an issue.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace foreplan {

struct ComparisonDocument {
  const nlohmann::ordered_json& answer;  // of CompareRuns
  std::string figure;                    // SVG
  std::string narrow_figure;             // SVG, for phones
  std::string description;               // the figure in words
  std::string command;                   // that repeats the comparison; "": not known
};

/// Opens offline, without scripts: figure, table, differences, what the groups differ in, runs.
[[nodiscard]] std::string ComparedRunsPage(const ComparisonDocument& document);

/// A table, a sentence per difference, the command.
[[nodiscard]] std::string ComparedRunsMarkdown(const ComparisonDocument& document);

}  // namespace foreplan

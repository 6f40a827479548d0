// One page that compares runs: opens offline, needs no script.
#pragma once

#include <string>
#include <vector>

#include "foreplan/runs/table.h"

namespace foreplan {

struct ComparisonContent {
  std::string title;
  std::string subtitle;
  std::vector<std::string> figures;  // SVG
  std::vector<ResultTable> tables;
  std::string machine_json;
};

[[nodiscard]] std::string ComparisonPage(const ComparisonContent& content);

}  // namespace foreplan

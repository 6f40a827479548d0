// A run as Markdown for an issue or a pull request.
#pragma once

#include <string>

#include "foreplan/runs/report.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {

/// Title and status, the main numbers, the curve of the returns, a table of episodes (all, or every
/// nth and the last where there are more than thirty), the last value of every metric, and, folded,
/// settings and machine. Whatever names hold, they stay texts (markdown.h).
[[nodiscard]] std::string ReportMarkdown(const ReportContent& content, const RunLog& log);

}  // namespace foreplan

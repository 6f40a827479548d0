#include "foreplan/runs/returns.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "foreplan/runs/summary.h"

namespace foreplan {

WholeReturns WholeReturnsOf(std::span<const EpisodeRow> rows) {
  WholeReturns whole;
  for (const EpisodeRow& row : rows) {
    if (IsWhole(row.end)) {
      whole.returns.push_back(row.episode_return);
      whole.episodes.push_back(row.episode);
    }
    whole.diverged += row.end == EpisodeEnd::kDiverged ? 1 : 0;
    whole.failed += row.end == EpisodeEnd::kFailed ? 1 : 0;
    whole.cut_off += row.end == EpisodeEnd::kCutOff ? 1 : 0;
  }
  return whole;
}

std::vector<double> ReturnsWithGaps(std::span<const EpisodeRow> rows) {
  std::vector<double> returns;
  for (const EpisodeRow& row : rows) {
    returns.push_back(IsWhole(row.end) ? row.episode_return
                                       : std::numeric_limits<double>::quiet_NaN());
  }
  return returns;
}

double WholeReturns::MeanOfLast() const {
  return Summarize(std::span(returns).last(last_count())).mean;
}

size_t WholeReturns::best() const {
  return static_cast<size_t>(std::ranges::max_element(returns) - returns.begin());
}

std::string WholeReturns::LeftOut() const {
  std::string text;
  for (const auto& [count, how] :
       {std::pair{diverged, "diverged"}, {failed, "failed"}, {cut_off, "cut off"}}) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, how);
  }
  return text;
}

}  // namespace foreplan

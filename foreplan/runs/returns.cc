#include "foreplan/runs/returns.h"

#include <fmt/format.h>

#include <algorithm>

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
    whole.cut_off += row.end == EpisodeEnd::kCutOff ? 1 : 0;
  }
  return whole;
}

double WholeReturns::MeanOfLast(size_t count) const {
  return Summarize(std::span(returns).last(std::min(count, returns.size()))).mean;
}

size_t WholeReturns::best() const {
  return static_cast<size_t>(std::ranges::max_element(returns) - returns.begin());
}

std::string WholeReturns::LeftOut() const {
  std::string text = diverged > 0 ? fmt::format("{} diverged", diverged) : "";
  if (cut_off > 0) text += fmt::format("{}{} cut off", text.empty() ? "" : ", ", cut_off);
  return text;
}

}  // namespace foreplan

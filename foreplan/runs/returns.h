// The returns of a run that can be compared with each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "foreplan/runs/run_log.h"

namespace foreplan {

/// Of an episode that was cut off, diverged or failed the rewards that did not come are missing,
/// which is to its credit where rewards are costs: means and the best are of whole episodes alone.
struct WholeReturns {
  std::vector<double> returns;
  std::vector<int> episodes;  // their numbers, as in EpisodeRow
  int diverged = 0;           // episodes left out
  int failed = 0;             // episodes left out
  int cut_off = 0;            // episodes left out

  /// What a run has come to is the mean of so many at its end, or of all where there are fewer.
  static constexpr size_t kLast = 5;
  [[nodiscard]] size_t last_count() const { return std::min(kLast, returns.size()); }
  /// Of the last_count() last; NaN without any.
  [[nodiscard]] double MeanOfLast() const;
  /// Position of the highest return; there must be one.
  [[nodiscard]] size_t best() const;
  /// "2 diverged, 1 failed, 1 cut off", "" when nothing is left out.
  [[nodiscard]] std::string LeftOut() const;
};

[[nodiscard]] WholeReturns WholeReturnsOf(std::span<const EpisodeRow> rows);

/// One per episode, NaN for those that are not whole: what a curve shows, with its gaps.
[[nodiscard]] std::vector<double> ReturnsWithGaps(std::span<const EpisodeRow> rows);

}  // namespace foreplan

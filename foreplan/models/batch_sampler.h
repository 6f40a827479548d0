// Batches of rows for gradient steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {

/// Endless batches from a set of rows, reshuffled at each pass. The rows, which it brings into
/// another order, must outlive it; there is one at least.
class BatchSampler {
 public:
  BatchSampler(std::vector<int64_t>& rows, Key key)
      : rows_(rows), random_(key), next_(rows.size()) {}

  void Fill(std::span<int64_t> batch) {
    for (int64_t& row : batch) {
      if (next_ == rows_.size()) {
        random_.Shuffle(std::span(rows_));
        next_ = 0;
      }
      row = rows_[next_++];
    }
  }

 private:
  std::vector<int64_t>& rows_;
  Random random_;
  size_t next_;
};

}  // namespace foreplan

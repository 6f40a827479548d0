#include "foreplan/data/observation_range.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "foreplan/core/size.h"

namespace foreplan {

ObservationRange::ObservationRange(const Dataset& data, double margin) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  low_.assign(Size(data.observation_dim()), kInfinity);
  high_.assign(low_.size(), -kInfinity);
  for (int64_t row = 0; row < data.size(); ++row) {
    for (const auto& seen : {data.observation(row), data.next_observation(row)}) {
      for (size_t i = 0; i < low_.size(); ++i) {
        low_[i] = std::min(low_[i], seen[i]);
        high_[i] = std::max(high_[i], seen[i]);
      }
    }
  }
  for (size_t i = 0; i < low_.size(); ++i) {
    const double width = high_[i] - low_[i];
    low_[i] = width > 0 ? low_[i] - margin * width : -kInfinity;
    high_[i] = width > 0 ? high_[i] + margin * width : kInfinity;
  }
}

bool ObservationRange::Holds(std::span<const double> observation) const {
  for (size_t i = 0; i < low_.size(); ++i) {
    if (!(low_[i] <= observation[i] && observation[i] <= high_[i])) return false;
  }
  return true;
}

}  // namespace foreplan

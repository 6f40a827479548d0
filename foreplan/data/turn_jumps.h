// Components that look like angles which are kept within one turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "foreplan/data/dataset.h"

namespace foreplan {

struct TurnJumps {
  size_t component = 0;
  double turn = 0;    // 2 pi or 360
  int64_t count = 0;  // transitions that change it by nearly a turn
  int64_t first = 0;  // the first of them
};

/// A component is reported when all its values are within one turn, some transitions change it by
/// more than three quarters of a turn, and all others by less than a quarter.
[[nodiscard]] std::vector<TurnJumps> FindTurnJumps(const Dataset& data);

}  // namespace foreplan

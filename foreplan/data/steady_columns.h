// Observations that look like clocks.
#pragma once

#include "foreplan/data/recording.h"

namespace foreplan {

/// Notes every component that changes by the same amount, within 1 %, in all of at least 8 steps,
/// with what to do if it is a clock or a counter: nobody has said that it is part of what is
/// observed.
void NoteSteadyColumns(Recording& recording);

}  // namespace foreplan

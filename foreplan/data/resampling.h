// Logs at another period than they were recorded at.
#pragma once

#include "foreplan/data/recording.h"

namespace foreplan {

/// The recording at `period` [s], episode by episode from its first row on. Where steps are even
/// and the period is a whole multiple n of them, every n-th row stays; otherwise observations are
/// interpolated linearly (angles that jump by a turn along the shorter way). The action is the one
/// at the beginning of a step; rewards add up, those of steps that are cut in proportion. Notes say
/// so. Throws InputError naming `source`: no times, loose transitions, a period below half the
/// usual step, or one that leaves no step.
[[nodiscard]] Recording Resampled(const std::string& source, const Recording& recording,
                                  double period);

}  // namespace foreplan

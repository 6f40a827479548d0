// Quaternions in logged data.
#pragma once

#include "foreplan/data/recording.h"

namespace foreplan {

/// q and -q are one rotation, and loggers change from one to the other. Four neighbouring
/// components count as a quaternion when their norm is 1 in every row, the rotation turns, but
/// never far in a step, and yet the sign changes. From a change on, rows take the sign that goes on
/// from the row before; a note names the components, and where in the file the first change is.
void CarryQuaternionsOn(Recording& recording);

}  // namespace foreplan

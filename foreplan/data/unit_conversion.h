// Numbers of a log in the units that are wanted.
#pragma once

#include <string>

#include "foreplan/data/log_options.h"
#include "foreplan/data/recording.h"

namespace foreplan {

/// Multiplies components by what `options` say, or else, where the file and `columns` know their
/// units, by what leads from one to the other; notes say so. Throws InputError naming `source`: a
/// name that is none, units of different quantities, degrees of what is none.
void ConvertUnits(const std::string& source, const RecordingColumns& columns,
                  const LogOptions& options, Recording& recording);

}  // namespace foreplan

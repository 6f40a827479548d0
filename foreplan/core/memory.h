// Whether the machine can hold what is asked for, before it is asked.
#pragma once

#include <string>

namespace foreplan {

/// Throws InputError naming `what`, need and supply when `bytes` are more than the machine has to
/// give now without swapping. Passes where the system does not say.
void CheckMemory(const std::string& what, double bytes);

}  // namespace foreplan

// Lines for people who watch.
#pragma once

#include <string_view>

namespace foreplan {

/// Writes to stderr. What cannot be written (a full disk, a terminal that is gone) is lost: work
/// never ends because nobody can watch it.
void WriteToStderr(std::string_view text) noexcept;

}  // namespace foreplan

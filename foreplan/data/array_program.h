// Arrays from a program of their own, for libraries that a damaged file can crash.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "foreplan/data/named_array.h"

namespace foreplan {

/// Starts `command` (a path and its arguments) anew, as no fork of this process, and reads the
/// arrays that it writes to its standard output (array_stream.h). Throws InputError naming
/// `source`: with the program's own line; or because it crashed, closed its output, wrote something
/// else, wrote nothing for `patience`, or cannot be started. The program, a process group of its
/// own, is gone in any case.
std::vector<NamedArray> ReadArraysFromProgram(const std::vector<std::string>& command,
                                              const std::string& source,
                                              std::chrono::milliseconds patience);

}  // namespace foreplan

// A command as it could be typed again.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace foreplan::apps {

/// "foreplan compare 'runs/*icem*' --out both": arguments, then the flags that were given but
/// --json; quoted for a shell where it would read anything into them.
[[nodiscard]] std::string CommandText(const CLI::App& command);

}  // namespace foreplan::apps

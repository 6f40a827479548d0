// Exceptions at the user's boundary. Inside solver loops status codes are used instead.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace foreplan {

/// Base of everything the library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user's mistake: a wrong name, key, type, range or file. Program exit code 2.
class InputError : public Error {
 public:
  using Error::Error;
};

/// A run that could not go on (network or simulator diverged); its data are kept. Exit code 3.
class RunError : public Error {
 public:
  using Error::Error;
};

/// The user asked to stop (Ctrl-C); the last checkpoint can be resumed. Exit code 130.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// The known name nearest to `name` (Levenshtein distance without case; a name that contains
/// `name` counts as near), or "" when none is near.
std::string NearestName(std::string_view name, std::span<const std::string> known);

/// "<where>: unknown <what> 'nam' (did you mean 'name'?); known: a, b, c"; `where` may be empty.
InputError UnknownName(std::string_view where, std::string_view what, std::string_view name,
                       std::span<const std::string> known);

}  // namespace foreplan

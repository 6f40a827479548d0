#include "foreplan/data/log_options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <system_error>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

struct Halves {
  std::string_view left;
  std::string_view right;
};

/// At the last '=': names of columns may hold one.
Halves Split(std::string_view option, std::string_view text, std::string_view expected) {
  const size_t at = text.rfind('=');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) {
    throw InputError(fmt::format("{}: found '{}', expected {}", option, text, expected));
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

}  // namespace

NewName ParseNewName(std::string_view text) {
  const Halves halves = Split("--rename", text, "NEW=OLD, e.g. time=stamp");
  return {std::string(halves.left), std::string(halves.right)};
}

ColumnScale ParseColumnScale(std::string_view text) {
  constexpr std::string_view kExpected = "NAME=FACTOR, e.g. x=0.001";
  const Halves halves = Split("--scale", text, kExpected);
  double factor = 0;
  const char* const end = halves.right.data() + halves.right.size();
  const auto [last, error] = std::from_chars(halves.right.data(), end, factor);
  if (error != std::errc() || last != end || !std::isfinite(factor) || factor == 0) {
    throw InputError(fmt::format("--scale: found the factor '{}' in '{}', expected {}",
                                 halves.right, text, kExpected));
  }
  return {std::string(halves.left), factor};
}

}  // namespace foreplan

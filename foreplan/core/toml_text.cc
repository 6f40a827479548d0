#include "foreplan/core/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"

namespace foreplan {

namespace {

struct TomlFault {
  int line;
  int column;
  std::string_view found;
};

/// What the parser must not see: bytes that TOML forbids outside of escapes, which break messages
/// and the parser's assertions, and keys so long that its recursion fills the stack.
std::optional<TomlFault> FindFault(std::string_view text) {
  constexpr int kMaxDots = 2000;  // in one line, so that numbers in an array still have room
  int line = 1;
  int column = 1;
  int dots = 0;
  for (size_t i = 0; i < text.size(); ++i, ++column) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool allowed = byte == '\t' || byte == '\n' || text.substr(i, 2) == "\r\n";
    if ((byte < 0x20 && !allowed) || byte == 0x7f) {
      return TomlFault{line, column, "a control character"};
    }
    if (byte == '.' && ++dots > kMaxDots) {
      return TomlFault{line, column, "too many dots in one line"};
    }
    if (byte != '\n') continue;
    ++line;
    column = 0;
    dots = 0;
  }
  return std::nullopt;
}

bool ViolatesAssertion(std::string_view text) {
  try {
    const toml::table parsed = toml::parse(text);
  } catch (const toml::parse_error&) {
    return false;
  } catch (const TomlAssertion&) {
    return true;
  }
  return false;
}

/// The parser goes from left to right, so the line is the last of the shortest text that fails.
int64_t LineOfAssertion(std::string_view text) {
  std::vector<size_t> line_ends;
  for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n', end + 1)) {
    line_ends.push_back(end);
  }
  const auto line = std::partition_point(line_ends.begin(), line_ends.end(), [&](size_t end) {
    return !ViolatesAssertion(text.substr(0, end));
  });
  return line - line_ends.begin() + 1;
}

}  // namespace

toml::table ParseToml(std::string_view text, std::string_view name) {
  if (const auto fault = FindFault(text)) {
    throw InputError(fmt::format("{}:{}:{}: found {}, expected TOML text", name, fault->line,
                                 fault->column, fault->found));
  }
  try {
    return toml::parse(text, std::string(name));
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    throw InputError(
        fmt::format("{}:{}:{}: {}", name, at.line, at.column, OnOneLine(error.description())));
  } catch (const TomlAssertion&) {
    throw InputError(fmt::format("{}:{}:1: found a malformed line, expected TOML text", name,
                                 LineOfAssertion(text)));
  }
}

std::string Describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return "string " + Quoted(text->get());
  if (const auto* number = node.as_integer()) return fmt::format("integer {}", number->get());
  if (const auto* number = node.as_floating_point()) return "float " + FloatText(number->get());
  if (const auto* flag = node.as_boolean()) return fmt::format("boolean {}", flag->get());
  if (const auto* list = node.as_array()) return fmt::format("array of {} values", list->size());
  if (node.is_table()) return "a table";
  return "a date or time";
}

}  // namespace foreplan

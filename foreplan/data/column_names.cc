#include "foreplan/data/column_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "foreplan/core/error.h"
#include "foreplan/data/unit.h"

namespace foreplan {
namespace {

std::string_view WithoutBlanksBehind(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Where the brackets that end a header begin; its length where there are none.
size_t BracketsOf(std::string_view header) {
  if (header.empty() || (header.back() != ']' && header.back() != ')')) return header.size();
  return std::min(header.rfind(header.back() == ']' ? '[' : '('), header.size());
}

/// "x" of "x [m]" and of "x (left)".
std::string StemOf(std::string_view header) {
  return std::string(WithoutBlanksBehind(header.substr(0, BracketsOf(header))));
}

}  // namespace

std::string_view WithoutBrackets(std::string_view text) {
  const bool has_brackets = text.size() >= 2 && ((text.front() == '[' && text.back() == ']') ||
                                                 (text.front() == '(' && text.back() == ')'));
  return has_brackets ? text.substr(1, text.size() - 2) : text;
}

std::vector<Component> SplitUnits(std::span<const std::string> headers) {
  std::map<std::string, int> stems;
  for (const std::string& header : headers) ++stems[StemOf(header)];
  std::vector<Component> columns;
  for (const std::string& header : headers) {
    const std::string stem = StemOf(header);
    const std::string_view brackets = std::string_view(header).substr(BracketsOf(header));
    const std::string unit(WithoutBrackets(brackets));
    const bool is_unit = !stem.empty() && stems[stem] == 1 && ParseUnit(unit).has_value();
    columns.push_back(is_unit ? Component{stem, unit == "-" ? "" : unit} : Component{header, ""});
  }
  return columns;
}

void Rename(std::string_view where, std::span<const NewName> renames,
            std::span<const std::string> headers, std::vector<Component>& columns) {
  for (const auto& [name, old] : renames) {
    auto found = std::ranges::find(columns, old, &Component::name);
    if (found == columns.end()) {
      found = columns.begin() + (std::ranges::find(headers, old) - headers.begin());
    }
    if (found == columns.end()) {
      throw UnknownName(fmt::format("{}: --rename {}={}", where, name, old), "column", old,
                        headers);
    }
    if (std::ranges::find(columns, name, &Component::name) != columns.end()) {
      throw InputError(
          fmt::format("{}: --rename {}={}: found a column '{}' already, expected another name",
                      where, name, old, name));
    }
    found->name = name;
  }
}

}  // namespace foreplan

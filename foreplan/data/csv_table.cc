#include "foreplan/data/csv_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"

namespace foreplan {
namespace {

constexpr size_t kLongestLine = size_t{1} << 20;
constexpr std::array kSeparators = {',', ';', '\t'};

/// What a message quotes of a file: short, on one line.
std::string Quoted(std::string_view text) {
  constexpr size_t kMost = 40;
  std::string shown(text.substr(0, kMost));
  std::ranges::replace_if(
      shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return fmt::format("'{}{}'", shown, text.size() > kMost ? "..." : "");
}

std::string_view Trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view Unquoted(std::string_view cell) {
  cell = Trimmed(cell);
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') {
    return Trimmed(cell.substr(1, cell.size() - 2));
  }
  return cell;
}

/// The end of the cell that begins at `at`: a separator, the end of the line or of the text; npos
/// where the quote that begins the cell has no partner.
size_t EndOfCell(std::string_view text, size_t at, char separator) {
  while (at < text.size() && (text[at] == ' ' || (text[at] == '\t' && separator != '\t'))) ++at;
  if (at < text.size() && text[at] == '"') {
    do {
      at = text.find('"', at + 1);
      if (at == std::string_view::npos) return at;
      ++at;
    } while (at < text.size() && text[at] == '"');  // a doubled quote does not close
  }
  const char ends[] = {separator, '\n'};
  return std::min(text.find_first_of({ends, 2}, at), text.size());
}

bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
}

void CheckLength(const std::string& source, std::string_view text, size_t at, int line) {
  const size_t length = std::min(text.find('\n', at), text.size()) - at;
  if (length <= kLongestLine) return;
  throw InputError(fmt::format("{}:{}: found a line of {} characters, expected at most {}", source,
                               line, length, kLongestLine));
}

void CheckHeader(const std::string& source, std::string_view header) {
  const auto control = std::ranges::find_if(header, IsControl);
  if (control != header.end()) {
    throw InputError(fmt::format("{}:1: found a control character at place {}, expected text",
                                 source, control - header.begin() + 1));
  }
}

char SeparatorOf(std::string_view header) {
  const auto count = [header](char separator) {
    int found = 0;
    bool quoted = false;
    for (const char c : header) {
      if (c == '"') quoted = !quoted;
      if (c == separator && !quoted) ++found;
    }
    return found;
  };
  return *std::ranges::max_element(kSeparators, {}, count);
}

}  // namespace

CsvTable::CsvTable(const std::filesystem::path& file)
    : source_(file.string()), text_(ReadFile(file)) {
  if (text_.starts_with("\xef\xbb\xbf")) text_.erase(0, 3);  // the mark of UTF-8
  CheckLength(source_, text_, 0, 1);
  const size_t end = std::min(text_.find('\n'), text_.size());
  std::string_view header = std::string_view(text_).substr(0, end);
  body_ = std::min(end + 1, text_.size());
  CheckHeader(source_, header);
  if (Trimmed(header).starts_with('#')) header.remove_prefix(header.find('#') + 1);
  if (Trimmed(header).empty()) {
    throw InputError(fmt::format("{}:1: found no header, expected the names of columns", source_));
  }
  separator_ = SeparatorOf(header);
  size_t at = 0;
  int line = 1;
  for (const std::string_view cell : TakeCells(header, at, line)) columns_.emplace_back(cell);
}

std::vector<std::string_view> CsvTable::TakeCells(std::string_view text, size_t& at,
                                                  int& line) const {
  std::vector<std::string_view> cells;
  const size_t first = at;
  for (bool more = true; more;) {
    const size_t end = EndOfCell(text, at, separator_);
    if (end == std::string_view::npos || end - first > kLongestLine) {
      throw InputError(
          fmt::format("{}:{}: found a '\"' without its partner, expected it at the end of the cell",
                      source_, line));
    }
    cells.push_back(Unquoted(text.substr(at, end - at)));
    more = end < text.size() && text[end] == separator_;  // even if nothing stands behind it
    at = std::min(end + 1, text.size());
  }
  line += static_cast<int>(std::ranges::count(text.substr(first, at - first), '\n'));
  return cells;
}

InputError CsvTable::Wrong(int line, size_t column, std::string_view found,
                           std::string_view expected) const {
  return InputError(fmt::format("{}:{}: column {} ({}): found {}, expected {}", source_, line,
                                column + 1, Quoted(columns_[column]), found, expected));
}

double CsvTable::Number(std::string_view cell, size_t column, int line) const {
  const auto wrong = [&](std::string_view found) { return Wrong(line, column, found, "a number"); };
  if (cell.empty()) throw wrong("an empty cell");
  if (std::ranges::any_of(cell, IsControl)) throw wrong("a control character");
  double value = 0;
  const std::string_view digits = cell.starts_with('+') ? cell.substr(1) : cell;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) throw wrong(Quoted(cell) + ", beyond all numbers");
  if (error != std::errc() || end != digits.data() + digits.size()) throw wrong(Quoted(cell));
  if (!std::isfinite(value)) throw wrong(Quoted(cell));
  if (std::abs(value) > kLargestNumber) {
    throw wrong(fmt::format("{}, beyond {:g}", Quoted(cell), kLargestNumber));
  }
  return value;
}

double CsvTable::NumberOrNan(std::string_view cell) {
  double value = 0;
  const std::string_view digits = cell.starts_with('+') ? cell.substr(1) : cell;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size() &&
                         std::abs(value) <= kLargestNumber;  // false for NaN
  return is_number ? value : std::numeric_limits<double>::quiet_NaN();
}

bool CsvTable::Flag(std::string_view cell, size_t column, int line) const {
  std::string lower(cell);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "true") return true;
  if (lower == "false") return false;
  double value = -1;
  const auto [end, error] = std::from_chars(lower.data(), lower.data() + lower.size(), value);
  const bool is_number = error == std::errc() && end == lower.data() + lower.size();
  if (is_number && (value == 0 || value == 1)) return value == 1;
  throw Wrong(line, column, cell.empty() ? "an empty cell" : Quoted(cell),
              "0, 1, true or false: the column says where episodes end");
}

void CsvTable::ReadRows(const RowReader& reader) const {
  const std::string_view text = text_;
  size_t at = body_;
  // Empty lines at the end are none.
  for (int line = 2; text.find_first_not_of("\n\r\t ", at) != std::string_view::npos;) {
    const int first_line = line;
    CheckLength(source_, text, at, line);
    std::vector<std::string_view> cells = TakeCells(text, at, line);
    const size_t found = cells.size();
    while (cells.size() > columns_.size() && cells.back().empty()) cells.pop_back();
    while (cells.size() < columns_.size() && columns_[cells.size()].empty()) cells.emplace_back();
    if (cells.size() != columns_.size()) {
      throw InputError(fmt::format("{}:{}: found {} cells, expected {}, one per column", source_,
                                   first_line, found, columns_.size()));
    }
    reader(first_line, cells);
  }
}

}  // namespace foreplan

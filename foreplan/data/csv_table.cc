#include "foreplan/data/csv_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/data/column_names.h"
#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/unit.h"

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

/// ' ' where there is none of the others.
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
  const char most = *std::ranges::max_element(kSeparators, {}, count);
  return count(most) == 0 && Trimmed(header).find(' ') != std::string_view::npos ? ' ' : most;
}

bool IsComment(std::string_view line) {
  line = Trimmed(line);
  return line.starts_with('#') || line.starts_with("% ");
}

/// What the whole cell says. Where commas do not separate cells, one may stand for the point.
std::errc ParseNumber(std::string_view cell, char separator, double& value) {
  std::string with_point;
  if (separator != ',' && std::ranges::count(cell, ',') == 1 &&
      cell.find('.') == std::string_view::npos) {
    with_point = cell;
    std::ranges::replace(with_point, ',', '.');
    cell = with_point;
  }
  if (cell.starts_with('+')) cell.remove_prefix(1);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  const bool is_whole = end == cell.data() + cell.size();
  return error == std::errc() && !is_whole ? std::errc::invalid_argument : error;
}

/// Cells between blanks; a unit belongs to the name before it: "x [m]".
std::vector<std::string_view> CellsBetweenBlanks(std::string_view line) {
  std::vector<std::string_view> cells;
  constexpr std::string_view kBlanks = " \t\r";
  for (size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    if (!cells.empty() && (line[at] == '[' || line[at] == '(')) {
      const char* const begin = cells.back().data();
      cells.back() = {begin, static_cast<size_t>(line.data() + end - begin)};
    } else {
      cells.push_back(line.substr(at, end - at));
    }
    at = line.find_first_not_of(kBlanks, end);
  }
  return cells;
}

}  // namespace

CsvTable::CsvTable(const std::filesystem::path& file)
    : source_(file.string()), text_(ReadFile(file)) {
  if (text_.starts_with("\xef\xbb\xbf")) text_.erase(0, 3);  // the mark of UTF-8
  if (text_.starts_with("\xff\xfe") || text_.starts_with("\xfe\xff")) {
    throw InputError(
        fmt::format("{}:1: found text in UTF-16, expected UTF-8: save it as such", source_));
  }
  ReadHeader(FindHeader());
  ReadUnits();
}

std::string CsvTable::header_place() const { return fmt::format("{}:{}", source_, header_line_); }

std::string_view CsvTable::LineAt(size_t at) const {
  return std::string_view(text_).substr(at, std::min(text_.find('\n', at), text_.size()) - at);
}

CsvTable::Place CsvTable::Behind(Place line) const {
  return {std::min(line.at + LineAt(line.at).size() + 1, text_.size()), line.line + 1};
}

CsvTable::Place CsvTable::FindHeader() const {
  Place place;
  CheckLength(source_, text_, place.at, place.line);
  if (LineAt(place.at).starts_with("sep=")) place = Behind(place);  // a hint for spreadsheets
  std::optional<Place> comment;
  for (; place.at < text_.size(); place = Behind(place)) {
    CheckLength(source_, text_, place.at, place.line);
    const std::string_view line = LineAt(place.at);
    if (IsComment(line)) {
      comment = place;
    } else if (!comment || !Trimmed(line).empty()) {
      break;
    }
  }
  if (!comment) return place;
  const std::string_view line = LineAt(place.at);
  const char separator = SeparatorOf(line);
  for (size_t at = 0; at < line.size();) {  // where a number stands, there are no names
    const size_t end = std::min(EndOfCell(line, at, separator), line.size());
    if (!std::isnan(NumberOrNan(Unquoted(line.substr(at, end - at))))) return *comment;
    at = end + 1;
  }
  return Trimmed(line).empty() ? *comment : place;
}

void CsvTable::ReadHeader(Place place) {
  header_line_ = place.line;
  std::string_view header = LineAt(place.at);
  CheckHeader(header_place(), header);
  if (IsComment(header)) header.remove_prefix(header.find_first_of("#%") + 1);
  if (Trimmed(header).empty()) {
    throw InputError(
        fmt::format("{}: found no header, expected the names of columns", header_place()));
  }
  separator_ = SeparatorOf(header);
  body_ = Behind(place);
  Place start{0, place.line};
  for (const std::string_view cell : TakeCells(header, start)) columns_.emplace_back(cell);
}

/// A row without numbers in which some cell is a unit.
void CsvTable::ReadUnits() {
  Place place = body_;
  if (!FindRow(place)) return;
  CheckLength(source_, text_, place.at, place.line);
  std::vector<std::string_view> cells = TakeCells(text_, place);
  DropEmptyEnd(cells);
  cells.resize(std::max(cells.size(), columns_.size()));
  const auto is_number = [&](auto cell) { return !std::isnan(NumberOrNan(cell)); };
  const auto is_unit = [](std::string_view cell) {
    return cell != "-" && ParseUnit(WithoutBrackets(cell)).has_value();
  };
  if (cells.size() > columns_.size() || std::ranges::any_of(cells, is_number) ||
      std::ranges::none_of(cells, is_unit)) {
    return;
  }
  for (const std::string_view cell : cells) units_.emplace_back(WithoutBrackets(cell));
  std::ranges::replace(units_, "-", "");
  body_ = place;
}

std::vector<std::string_view> CsvTable::TakeCells(std::string_view text, Place& place) const {
  const size_t first = place.at;
  if (separator_ == ' ') {
    const size_t end = std::min(text.find('\n', first), text.size());
    place = {std::min(end + 1, text.size()), place.line + 1};
    return CellsBetweenBlanks(text.substr(first, end - first));
  }
  std::vector<std::string_view> cells;
  for (bool more = true; more;) {
    const size_t end = EndOfCell(text, place.at, separator_);
    if (end == std::string_view::npos || end - first > kLongestLine) {
      throw InputError(
          fmt::format("{}:{}: found a '\"' without its partner, expected it at the end of the cell",
                      source_, place.line));
    }
    cells.push_back(Unquoted(text.substr(place.at, end - place.at)));
    more = end < text.size() && text[end] == separator_;  // even if nothing stands behind it
    place.at = std::min(end + 1, text.size());
  }
  place.line += static_cast<int>(std::ranges::count(text.substr(first, place.at - first), '\n'));
  return cells;
}

InputError CsvTable::Wrong(int line, size_t column, std::string_view found,
                           std::string_view expected) const {
  return InputError(fmt::format("{}:{}: column {} ({}): found {}, expected {}", source_, line,
                                column + 1, Quoted(columns_[column]), found, expected));
}

double CsvTable::Number(std::string_view cell, size_t column, int line) const {
  const bool has_comma = cell.find(',') != std::string_view::npos;
  const auto wrong = [&](std::string_view found) {
    return Wrong(
        line, column, found,
        has_comma ? "a number (with a decimal point, or cells separated by ';')" : "a number");
  };
  const auto too_large = [&] {
    return Wrong(line, column, Quoted(cell),
                 fmt::format("a number up to {:g} in size", kLargestNumber));
  };
  if (cell.empty()) throw wrong("an empty cell");
  if (std::ranges::any_of(cell, IsControl)) throw wrong("a control character");
  double value = 0;
  const std::errc error = ParseNumber(cell, separator_, value);
  if (error == std::errc::result_out_of_range) throw too_large();
  if (error != std::errc()) throw wrong(Quoted(cell));
  if (!std::isfinite(value)) throw wrong(Quoted(cell));
  if (std::abs(value) > kLargestNumber) throw too_large();
  return value;
}

double CsvTable::NumberOrNan(std::string_view cell) const {
  double value = 0;
  const bool is_number = ParseNumber(cell, separator_, value) == std::errc() &&
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

void CsvTable::DropEmptyEnd(std::vector<std::string_view>& cells) const {
  while (cells.size() > columns_.size() && cells.back().empty()) cells.pop_back();
}

bool CsvTable::FindRow(Place& place) const {
  while (place.at < text_.size() && IsComment(LineAt(place.at))) place = Behind(place);
  // Empty lines at the end are none.
  return text_.find_first_not_of("\n\r\t ", place.at) != std::string::npos;
}

std::vector<std::string_view> CsvTable::TakeRow(Place& place) const {
  const int first_line = place.line;
  CheckLength(source_, text_, place.at, place.line);
  std::vector<std::string_view> cells = TakeCells(text_, place);
  const size_t found = cells.size();
  DropEmptyEnd(cells);
  while (cells.size() < columns_.size() && columns_[cells.size()].empty()) cells.emplace_back();
  if (cells.size() != columns_.size()) {
    throw InputError(fmt::format("{}:{}: found {} cells, expected {}, one per column", source_,
                                 first_line, found, columns_.size()));
  }
  return cells;
}

void CsvTable::ReadRows(const RowReader& reader) const {
  for (Place place = body_; FindRow(place);) {
    const int first_line = place.line;
    const std::vector<std::string_view> cells = TakeRow(place);
    reader(first_line, cells);
  }
}

void DecimalMarks::See(const CsvTable& table, std::string_view cell, size_t column, int line) {
  if (comma_line_ == 0 && cell.find(',') != std::string_view::npos) comma_line_ = line;
  if (point_line_ == 0 && cell.find('.') != std::string_view::npos) point_line_ = line;
  if (comma_line_ == 0 || point_line_ == 0) return;
  throw table.Wrong(line, column, Quoted(cell),
                    fmt::format("decimal commas as in line {}, or points as in line {}, not both",
                                comma_line_, point_line_));
}

}  // namespace foreplan

#include "foreplan/data/csv_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
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

/// The line that begins at `at`, without its end; `at` moves to the next.
std::string_view TakeLine(std::string_view text, size_t& at) {
  const size_t end = std::min(text.find('\n', at), text.size());
  const std::string_view line = text.substr(at, end - at);
  at = std::min(end + 1, text.size());
  return line;
}

void CheckLine(const std::string& source, std::string_view line, int number) {
  if (line.size() > kLongestLine) {
    throw InputError(fmt::format("{}:{}: found a line of {} characters, expected at most {}",
                                 source, number, line.size(), kLongestLine));
  }
  const auto control = std::ranges::find_if(line, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
  });
  if (control != line.end()) {
    throw InputError(fmt::format("{}:{}: found a control character at place {}, expected text",
                                 source, number, control - line.begin() + 1));
  }
}

char SeparatorOf(std::string_view header) {
  return *std::ranges::max_element(
      kSeparators, {}, [header](char separator) { return std::ranges::count(header, separator); });
}

}  // namespace

CsvTable::CsvTable(const std::filesystem::path& file)
    : source_(file.string()), text_(ReadFile(file)) {
  if (text_.starts_with("\xef\xbb\xbf")) text_.erase(0, 3);  // the mark of UTF-8
  std::string_view header = TakeLine(text_, body_);
  CheckLine(source_, header, 1);
  header = Trimmed(header);
  if (header.starts_with('#')) header = Trimmed(header.substr(1));
  if (header.empty()) {
    throw InputError(fmt::format("{}:1: found no header, expected the names of columns", source_));
  }
  separator_ = SeparatorOf(header);
  for (const std::string_view cell : Cells(header, 1)) {
    const std::string name(cell);
    const size_t place = columns_.size() + 1;
    if (name.empty()) {
      throw InputError(fmt::format("{}:1: column {}: found no name, expected one", source_, place));
    }
    const auto same = std::ranges::find(columns_, name);
    if (same != columns_.end()) {
      throw InputError(fmt::format("{}:1: column {}: found the name {} again, which column {} has",
                                   source_, place, Quoted(name), same - columns_.begin() + 1));
    }
    columns_.push_back(name);
  }
}

std::vector<std::string_view> CsvTable::Cells(std::string_view line, int number) const {
  std::vector<std::string_view> cells;
  size_t first = 0;
  bool quoted = false;
  for (size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && line[i] == '"') quoted = !quoted;
    if (i < line.size() && (quoted || line[i] != separator_)) continue;
    cells.push_back(Unquoted(line.substr(first, i - first)));
    first = i + 1;
  }
  if (quoted) {
    throw InputError(fmt::format("{}:{}: found a '\"' without its partner, expected it in the line",
                                 source_, number));
  }
  return cells;
}

double CsvTable::Number(std::string_view cell, size_t column, int line) const {
  const auto wrong = [&](std::string_view found) {
    return InputError(fmt::format("{}:{}: column {} ({}): found {}, expected a number", source_,
                                  line, column + 1, Quoted(columns_[column]), found));
  };
  if (cell.empty()) throw wrong("an empty cell");
  double value = 0;
  const std::string_view digits = cell.starts_with('+') ? cell.substr(1) : cell;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) throw wrong(Quoted(cell) + ", beyond all numbers");
  if (error != std::errc() || end != digits.data() + digits.size()) throw wrong(Quoted(cell));
  if (!std::isfinite(value)) throw wrong(Quoted(cell));
  if (std::abs(value) > kLargestNumber) {
    throw wrong(fmt::format("{}, beyond {:g},", Quoted(cell), kLargestNumber));
  }
  return value;
}

CsvTable::Numbers CsvTable::Read(std::span<const size_t> columns) const {
  Numbers numbers;
  size_t at = body_;
  for (int line = 2; at < text_.size(); ++line) {
    if (Trimmed(std::string_view(text_).substr(at)).find_first_not_of("\n\r\t ") ==
        std::string_view::npos) {
      break;  // empty lines at the end
    }
    const std::string_view text = TakeLine(text_, at);
    CheckLine(source_, text, line);
    const std::vector<std::string_view> cells = Cells(text, line);
    if (cells.size() != columns_.size()) {
      throw InputError(fmt::format("{}:{}: found {} cells, expected {}, one per column", source_,
                                   line, cells.size(), columns_.size()));
    }
    for (const size_t column : columns) {
      numbers.values.push_back(Number(cells[column], column, line));
    }
    numbers.lines.push_back(line);
  }
  return numbers;
}

}  // namespace foreplan

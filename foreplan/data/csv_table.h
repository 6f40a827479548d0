// Tables of numbers in text: one header line, one line per row.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {

/// A whole file in memory whose header has been read. Cells are separated by commas, semicolons or
/// tabs, whichever the header has most of; they may have blanks around them, and be quoted:
/// separators, doubled quotes and ends of lines within quotes belong to the cell. A comma at the
/// end of rows, or of the header, is no column.
class CsvTable {
 public:
  /// Throws InputError naming file and line: no header, a line beyond 1 MiB, bytes that are no
  /// text.
  explicit CsvTable(const std::filesystem::path& file);

  /// Names as they stand; some may be empty, or the same.
  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  [[nodiscard]] const std::string& source() const { return source_; }

  /// Sees every row in turn: its first line in the file, from 1, and a cell for every column.
  using RowReader = std::function<void(int line, std::span<const std::string_view> cells)>;
  /// Throws InputError naming the line of a row of another length.
  void ReadRows(const RowReader& reader) const;

  /// What the cell says; `column` from 0. Throw InputError naming line and column: a cell that is
  /// empty, no number, not finite or beyond kLargestNumber; no flag (0, 1, true, false, in any
  /// case).
  [[nodiscard]] double Number(std::string_view cell, size_t column, int line) const;
  [[nodiscard]] bool Flag(std::string_view cell, size_t column, int line) const;
  /// The same of a cell that may hold anything; NaN unless Number takes it.
  [[nodiscard]] static double NumberOrNan(std::string_view cell);
  /// "file:line: column 3 ('x'): found ..., expected ...".
  [[nodiscard]] InputError Wrong(int line, size_t column, std::string_view found,
                                 std::string_view expected) const;

 private:
  /// The cells of the row that begins at `at`, which moves behind it, as `line` does.
  [[nodiscard]] std::vector<std::string_view> TakeCells(std::string_view text, size_t& at,
                                                        int& line) const;

  std::string source_;
  std::string text_;
  char separator_ = ',';
  std::vector<std::string> columns_;
  size_t body_ = 0;  // where the first row begins in text_
};

}  // namespace foreplan

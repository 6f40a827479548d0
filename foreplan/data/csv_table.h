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
/// tabs, whichever the header has most of, or else by blanks; they may have blanks around them, and
/// be quoted: separators, doubled quotes and ends of lines within quotes belong to the cell. A
/// comma at the end of rows, or of the header, is no column. Lines that begin with '#' or "% " are
/// comments; the last one above the rows is the header where no other line has names. A row of
/// units may follow the header. Where cells are not separated by commas, numbers may have them.
class CsvTable {
 public:
  /// Throws InputError naming file and line: no header, a line beyond 1 MiB, bytes that are no
  /// text.
  explicit CsvTable(const std::filesystem::path& file);

  /// Names as they stand; some may be empty, or the same.
  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  /// What the row below the header says, without brackets: [columns]; empty where it is no row of
  /// units.
  [[nodiscard]] const std::vector<std::string>& units() const { return units_; }
  [[nodiscard]] const std::string& source() const { return source_; }
  /// "file:line" of the header.
  [[nodiscard]] std::string header_place() const;

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
  [[nodiscard]] double NumberOrNan(std::string_view cell) const;
  /// "file:line: column 3 ('x'): found ..., expected ...".
  [[nodiscard]] InputError Wrong(int line, size_t column, std::string_view found,
                                 std::string_view expected) const;

 private:
  struct Place {
    size_t at = 0;  // in text_
    int line = 1;
  };

  [[nodiscard]] std::string_view LineAt(size_t at) const;
  [[nodiscard]] Place Behind(Place line) const;
  /// Where the names are; the rows begin behind it.
  [[nodiscard]] Place FindHeader() const;
  void ReadHeader(Place place);
  void ReadUnits();
  /// The cells of the row that begins at `place`, which moves behind it.
  [[nodiscard]] std::vector<std::string_view> TakeCells(std::string_view text, Place& place) const;
  [[nodiscard]] std::vector<std::string_view> TakeRow(Place& place) const;
  /// Without cells behind the last column.
  void DropEmptyEnd(std::vector<std::string_view>& cells) const;
  /// Moves behind comments; false where no row follows.
  [[nodiscard]] bool FindRow(Place& place) const;

  std::string source_;
  std::string text_;
  char separator_ = '\0';  // not known
  std::vector<std::string> columns_;
  std::vector<std::string> units_;
  int header_line_ = 1;
  Place body_;  // where the first row begins
};

/// "1,5" and "2.5" cannot both be numbers of one table: sees to it.
class DecimalMarks {
 public:
  /// Throws InputError naming both lines.
  void See(const CsvTable& table, std::string_view cell, size_t column, int line);

 private:
  int comma_line_ = 0;
  int point_line_ = 0;
};

}  // namespace foreplan

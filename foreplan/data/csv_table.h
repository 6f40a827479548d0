// Tables of numbers in text: one header line, one line per row.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace foreplan {

/// A whole file in memory whose header has been read. Cells are separated by commas, semicolons or
/// tabs, whichever the header has, may be quoted, and may have blanks around them.
class CsvTable {
 public:
  /// Throws InputError naming file, line and column: no header, a line beyond 1 MiB, bytes that are
  /// no text, a column without a name or with that of another.
  explicit CsvTable(const std::filesystem::path& file);

  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  [[nodiscard]] const std::string& source() const { return source_; }

  struct Numbers {
    std::vector<double> values;  // [rows x columns asked for]
    std::vector<int> lines;      // [rows], in the file, from 1
  };
  /// The given columns of all rows; other columns may hold any text. Throws InputError naming line
  /// and column for rows of another length and cells that are empty, no number, not finite or
  /// beyond kLargestNumber.
  [[nodiscard]] Numbers Read(std::span<const size_t> columns) const;

 private:
  [[nodiscard]] std::vector<std::string_view> Cells(std::string_view line, int number) const;
  [[nodiscard]] double Number(std::string_view cell, size_t column, int line) const;

  std::string source_;
  std::string text_;
  char separator_ = ',';
  std::vector<std::string> columns_;
  size_t body_ = 0;  // where the first row begins in text_
};

}  // namespace foreplan

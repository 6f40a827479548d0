#include "foreplan/runs/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "foreplan/data/csv_cell.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/plain_text.h"

namespace foreplan {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> Columns(const std::vector<Json>& rows) {
  std::vector<std::string> columns;
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.items()) {
      if (std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
    }
  }
  return columns;
}

/// What a row says in a column; null when it says nothing.
Json At(const Json& row, const std::string& column) {
  const auto found = row.find(column);
  return found == row.end() ? Json() : *found;
}

std::string ShortText(const Json& value, std::string_view nothing) {
  if (value.is_null()) return std::string(nothing);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  return value.dump();
}

std::string CellOf(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  if (!value.is_string()) return value.dump();
  return CsvCell(value.get<std::string>());
}

}  // namespace

std::string CsvText(const ResultTable& table) {
  const std::vector<std::string> columns = Columns(table.rows);
  std::string csv = fmt::format("{}\n", fmt::join(columns, ","));
  for (const Json& row : table.rows) {
    std::vector<std::string> cells;
    for (const std::string& column : columns) cells.push_back(CellOf(At(row, column)));
    csv += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return csv;
}

std::string HtmlTable(const ResultTable& table) {
  const std::vector<std::string> columns = Columns(table.rows);
  std::string html = fmt::format(
      "<section>\n<h2>{}</h2>\n<p>{}</p>\n<div class=\"scroll\"><table class=\"numbers\">\n"
      "<thead><tr>",
      EscapedForHtml(table.title), EscapedForHtml(table.note));
  for (const std::string& column : columns) {
    std::string heading = column;
    std::ranges::replace(heading, '_', ' ');
    html += fmt::format("<th scope=\"col\">{}</th>", EscapedForHtml(heading));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const Json& row : table.rows) {
    html += "<tr>";
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string text = EscapedForHtml(ShortText(At(row, columns[i]), "–"));
      html += i == 0 ? fmt::format("<th scope=\"row\">{}</th>", text)
                     : fmt::format("<td>{}</td>", text);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n</section>\n";
}

std::string PlainTable(const std::vector<Json>& rows) {
  std::vector<std::string> lines(rows.size() + 1);
  for (const std::string& column : Columns(rows)) {
    std::vector<std::string> cells = {column};
    bool is_text = false;
    for (const Json& row : rows) {
      const Json value = At(row, column);
      cells.push_back(ShortText(value, ""));
      is_text |= value.is_string();
    }
    const size_t width = ColumnsOf(std::ranges::max(cells, {}, ColumnsOf));
    for (size_t i = 0; i < cells.size(); ++i) {
      lines[i] += is_text ? fmt::format("{:<{}}  ", cells[i], width)
                          : fmt::format("{:>{}}  ", cells[i], width);
    }
  }
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

}  // namespace foreplan

// Tables as people and programs read them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace foreplan {

/// Rows are JSON objects of numbers, texts and nulls; their keys are the columns, in the order in
/// which they first appear.
struct ResultTable {
  std::string title;
  std::string note;  // one paragraph: how to read it
  std::vector<nlohmann::ordered_json> rows;
};

/// RFC 4180; numbers in the shortest form that reads back to the same bits, nulls empty.
[[nodiscard]] std::string CsvText(const ResultTable& table);
/// A heading, the note and a <table>, numbers with four digits, nulls as a dash.
[[nodiscard]] std::string HtmlTable(const ResultTable& table);
/// Aligned columns for a terminal: texts to the left, numbers to the right.
[[nodiscard]] std::string PlainTable(const std::vector<nlohmann::ordered_json>& rows);

}  // namespace foreplan

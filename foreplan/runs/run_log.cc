#include "foreplan/runs/run_log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/csv_cell.h"
#include "foreplan/runs/returns.h"

namespace foreplan {
namespace {

constexpr std::array<std::string_view, 7> kEpisodeColumns = {
    "episode", "controller", "steps", "total_steps", "return", "end", "note"};
// In the order of EpisodeEnd.
constexpr std::array<std::string_view, 5> kEnds = {"length", "terminated", "cut_off", "diverged",
                                                   "failed"};
constexpr std::array<std::string_view, 4> kMetricColumns = {"episode", "total_steps", "name",
                                                            "value"};

struct Record {
  int line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
};

/// Reads the records of one CSV text (RFC 4180 with "\n" line ends).
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string where, std::span<const std::string_view> columns)
      : text_(text), where_(std::move(where)), columns_(columns) {
    const Record header = done() ? Record{1, {}} : ReadRecord();
    if (!std::equal(header.fields.begin(), header.fields.end(), columns.begin(), columns.end())) {
      throw Wrong(1, fmt::format("header '{}'", fmt::join(header.fields, ",")),
                  fmt::format("'{}'", fmt::join(columns, ",")));
    }
  }

  [[nodiscard]] bool done() const { return position_ == text_.size(); }

  Record Next() {
    Record record = ReadRecord();
    if (record.fields.size() != columns_.size()) {
      throw Wrong(record.line, fmt::format("{} fields", record.fields.size()),
                  fmt::format("{}", columns_.size()));
    }
    return record;
  }

  template <typename Number>
  Number Parse(const Record& record, size_t column) const {
    const std::string& field = record.fields[column];
    Number number{};
    const char* end = field.data() + field.size();
    const auto [stop, error] = std::from_chars(field.data(), end, number);
    if (error != std::errc() || stop != end) {
      throw Wrong(record.line, fmt::format("{} '{}'", columns_[column], field),
                  std::is_integral_v<Number> ? "an integer" : "a number");
    }
    return number;
  }

  EpisodeEnd ParseEnd(const Record& record, size_t column) const {
    const std::string& field = record.fields[column];
    const auto* found = std::ranges::find(kEnds, field);
    if (found != kEnds.end()) return static_cast<EpisodeEnd>(found - kEnds.begin());
    throw Wrong(record.line, fmt::format("{} '{}'", columns_[column], field),
                fmt::format("one of {}", fmt::join(kEnds, ", ")));
  }

 private:
  [[nodiscard]] InputError Wrong(int line, std::string_view found,
                                 std::string_view expected) const {
    return InputError(
        fmt::format("{}, line {}: found {}, expected {}", where_, line, found, expected));
  }

  Record ReadRecord() {
    Record record{line_, {}};
    for (;;) {
      record.fields.push_back(ReadField());
      if (done()) throw Wrong(line_, "the end of the text", "a line end");
      const char separator = text_[position_++];
      if (separator == '\n') break;
      if (separator != ',') throw Wrong(line_, fmt::format("'{}'", separator), "',' or a line end");
    }
    ++line_;
    return record;
  }

  std::string ReadField() {
    if (!done() && text_[position_] == '"') return ReadQuotedField();
    const size_t end = std::min(text_.find_first_of(",\"\n", position_), text_.size());
    std::string field(text_.substr(position_, end - position_));
    position_ = end;
    return field;
  }

  std::string ReadQuotedField() {
    std::string field;
    for (++position_; !done(); ++position_) {
      const char c = text_[position_];
      if (c == '\n') ++line_;
      if (c == '"') {
        const bool doubled = position_ + 1 < text_.size() && text_[position_ + 1] == '"';
        ++position_;
        if (!doubled) return field;
      }
      field += c;
    }
    throw Wrong(line_, "the end of the text", "a closing '\"'");
  }

  std::string_view text_;
  std::string where_;
  std::span<const std::string_view> columns_;
  size_t position_ = 0;
  int line_ = 1;
};

}  // namespace

std::string_view NameOf(EpisodeEnd end) { return kEnds[static_cast<size_t>(end)]; }

void RunLog::AddEpisode(EpisodeRow row) {
  if (IsWhole(row.end)) last_return_ = row.episode_return;
  for (const double value : ReturnsWithGaps(std::span(&row, 1))) returns_.push_back(value);
  if (progress_ != nullptr) {
    shown_.episode = row.episode;
    shown_.step = row.steps;
    shown_.total_steps = row.total_steps;
    shown_.episode_return = row.episode_return;
    shown_.model_error = model_error_;
    shown_.note = row.note;
    shown_.returns = returns_;
    progress_->FinishEpisode(shown_);
    shown_.returns = {};
  }
  episodes_.push_back(std::move(row));
}

void RunLog::AddMetric(int episode, int total_steps, std::string_view name, double value) {
  if (name == kModelErrorMetric) model_error_ = value;
  metrics_.push_back({episode, total_steps, std::string(name), value});
}

void RunLog::ShowStep(ProgressState state) {
  if (progress_ == nullptr) return;
  state.last_return = last_return_;
  state.model_error = model_error_;
  shown_ = state;
  state.returns = returns_;
  progress_->Show(state);
}

std::string RunLog::EpisodesCsv() const {
  return fmt::format("{}\n{}", fmt::join(kEpisodeColumns, ","), EpisodesCsvFrom({}));
}

std::string RunLog::MetricsCsv() const {
  return fmt::format("{}\n{}", fmt::join(kMetricColumns, ","), MetricsCsvFrom({}));
}

std::string RunLog::EpisodesCsvFrom(Position from) const {
  std::string csv;
  for (const EpisodeRow& row : EpisodesFrom(from)) {
    csv += fmt::format("{},{},{},{},{},{},{}\n", row.episode, CsvCell(row.controller), row.steps,
                       row.total_steps, row.episode_return, NameOf(row.end), CsvCell(row.note));
  }
  return csv;
}

std::string RunLog::MetricsCsvFrom(Position from) const {
  std::string csv;
  for (const MetricRow& row : MetricsFrom(from)) {
    csv += fmt::format("{},{},{},{}\n", row.episode, row.total_steps, CsvCell(row.name), row.value);
  }
  return csv;
}

void RunLog::RestoreCsv(std::string_view episodes_csv, std::string_view metrics_csv,
                        std::string_view source) {
  std::vector<EpisodeRow> episodes;
  CsvReader episode_reader(episodes_csv, fmt::format("{}: episodes", source), kEpisodeColumns);
  while (!episode_reader.done()) {
    const Record record = episode_reader.Next();
    episodes.push_back({.episode = episode_reader.Parse<int>(record, 0),
                        .controller = record.fields[1],
                        .steps = episode_reader.Parse<int>(record, 2),
                        .total_steps = episode_reader.Parse<int>(record, 3),
                        .episode_return = episode_reader.Parse<double>(record, 4),
                        .end = episode_reader.ParseEnd(record, 5),
                        .note = record.fields[6]});
  }
  std::vector<MetricRow> metrics;
  CsvReader metric_reader(metrics_csv, fmt::format("{}: metrics", source), kMetricColumns);
  while (!metric_reader.done()) {
    const Record record = metric_reader.Next();
    metrics.push_back({.episode = metric_reader.Parse<int>(record, 0),
                       .total_steps = metric_reader.Parse<int>(record, 1),
                       .name = record.fields[2],
                       .value = metric_reader.Parse<double>(record, 3)});
  }
  model_error_.reset();
  for (const MetricRow& row : metrics) {
    if (row.name == kModelErrorMetric) model_error_ = row.value;
  }
  last_return_.reset();
  for (const EpisodeRow& row : episodes) {
    if (IsWhole(row.end)) last_return_ = row.episode_return;
  }
  returns_ = ReturnsWithGaps(episodes);
  episodes_ = std::move(episodes);
  metrics_ = std::move(metrics);
}

}  // namespace foreplan

// Times as tables write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace foreplan {

/// Of the unit that --time-unit says. Throws InputError for one of something else.
[[nodiscard]] double SecondsOfTimeUnit(std::string_view text);

/// Reads a column of times: numbers of a unit, or dates with times of day as ISO 8601 has them
/// (2024-05-17 09:30:00.25, 2024-05-17T09:30:00Z). Whole numbers beyond 1e15, such as nanoseconds
/// since 1970, and dates count from the first one, so that no digit is lost.
class CellClock {
 public:
  /// `seconds`: of the unit; 0: not known, then times stay in it.
  explicit CellClock(double seconds) : seconds_(seconds) {}

  /// `number`: what the cell is as a number; NaN for none. Nothing where it is no time.
  [[nodiscard]] std::optional<double> Read(std::string_view cell, double number);
  /// Of so many units; where the unit is not known, the same.
  [[nodiscard]] double Seconds(double count) const;
  /// Times are seconds: the unit is known, or dates have been read.
  [[nodiscard]] bool in_seconds() const { return seconds_ > 0 || has_dates_; }

 private:
  [[nodiscard]] double Since(int64_t count);

  double seconds_;
  bool has_dates_ = false;
  std::optional<int64_t> first_;
};

}  // namespace foreplan

#include "foreplan/data/log_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace foreplan {
namespace {

constexpr double kTolerance = 0.1;  // of a step, in a log of one period
constexpr double kGap = 1.5;        // steps: rows are missing
constexpr double kGapToResample = 3;

class TimeJudge {
 public:
  TimeJudge(const LogClock& clock, const LogOptions& options, std::vector<LogRow>& rows,
            Recording& recording)
      : clock_(clock), options_(options), rows_(rows), recording_(recording) {}

  void Judge() {
    if (!clock_.in_seconds && !clock_.divides) return;
    if (!BeginWhereTimeFalls()) return;
    const double usual = UsualStep();
    if (clock_.in_seconds) recording_.dt = usual;
    if (usual == 0 && !clock_.in_seconds) return;  // stands still: no clock
    expected_ =
        clock_.in_seconds && clock_.period > 0 && options_.period == 0 ? clock_.period : usual;
    BeginAtGaps(GapFor(usual));
    CheckSteps();
  }

 private:
  struct Breaks {
    int64_t count = 0;
    size_t first = 0;  // the row before it
  };

  [[nodiscard]] double Step(size_t row) const { return rows_[row + 1].time - rows_[row].time; }

  /// Rows whose next one continues them, and whose step `is_one` says.
  template <typename Predicate>
  Breaks Find(const Predicate& is_one) const {
    Breaks found;
    for (size_t row = 0; row < rows_.size(); ++row) {
      if (!Continues(rows_, row) || !is_one(Step(row))) continue;
      if (found.count++ == 0) found.first = row;
    }
    return found;
  }
  template <typename Predicate>
  void BeginWhere(const Predicate& is_one) {
    for (size_t row = 0; row + 1 < rows_.size(); ++row) {
      if (!rows_[row + 1].begins && is_one(Step(row))) rows_[row + 1].begins = true;
    }
  }

  [[nodiscard]] InputError Wrong(size_t row, std::string_view expected) const {
    return clock_.wrong(rows_[row + 1],
                        fmt::format("a step of {:.6g} s from the row before", Step(row)), expected);
  }

  void Note(std::string_view where, const Breaks& breaks) {
    recording_.notes.push_back(fmt::format(
        "a new episode begins where {} ({} {}, first behind {} {})", where, breaks.count,
        breaks.count == 1 ? "time" : "times", recording_.place_unit, rows_[breaks.first].place));
  }

  /// False where the rows are in no order of this clock.
  bool BeginWhereTimeFalls() {
    const auto falls = [](double step) { return step < 0; };
    const Breaks breaks = Find(falls);
    if (breaks.count == 0) return true;
    const int64_t steps = Find([](double) { return true; }).count;
    const bool is_order = 2 * breaks.count <= steps;
    if (clock_.in_seconds && (!is_order || !clock_.divides)) {
      throw Wrong(breaks.first, clock_.divides
                                    ? "rows in the order of time"
                                    : "time to rise within an episode; rows of another episode "
                                      "need another number in the column of episodes");
    }
    if (!is_order) return false;
    BeginWhere(falls);
    Note(fmt::format("'{}' falls", clock_.name), breaks);
    return true;
  }

  /// The median, 0 without any.
  [[nodiscard]] double UsualStep() const {
    std::vector<double> steps;
    for (size_t row = 0; row < rows_.size(); ++row) {
      if (Continues(rows_, row)) steps.push_back(Step(row));
    }
    if (steps.empty()) return 0;
    const auto middle = steps.begin() + std::ssize(steps) / 2;
    std::ranges::nth_element(steps, middle);
    return *middle;
  }

  /// Longer steps are gaps.
  [[nodiscard]] double GapFor(double usual) const {
    if (!clock_.in_seconds) return kGap * usual;
    if (options_.gap > 0) return options_.gap;
    if (options_.period > 0) return std::max(kGap * options_.period, kGapToResample * usual);
    return kGap * expected_;
  }

  /// Unless there are so many that the steps are rather uneven.
  void BeginAtGaps(double longest) {
    const auto is_gap = [&](double step) { return step > longest; };
    const Breaks gaps = Find(is_gap);
    if (gaps.count == 0) return;
    if (!clock_.divides && options_.period == 0) return;  // uneven
    if (!clock_.divides) {
      throw Wrong(gaps.first, fmt::format("at most {:.6g} s within an episode; --gap takes longer "
                                          "ones, and rows of another episode need another number "
                                          "in the column of episodes",
                                          longest));
    }
    const int64_t steps = Find([](double) { return true; }).count;
    constexpr int64_t kFew = 10;  // one in so many
    const bool are_few = gaps.count < steps && gaps.count <= std::max<int64_t>(1, steps / kFew);
    const bool may_be_uneven = options_.gap == 0 && options_.period == 0;
    if (may_be_uneven && !are_few) return;
    Note(fmt::format("'{}' leaves a gap of more than {:.6g}{}", clock_.name, longest,
                     clock_.in_seconds ? " s" : ""),
         gaps);
    BeginWhere(is_gap);
  }

  void CheckSteps() {
    if (options_.period > 0 && clock_.in_seconds) {
      const Breaks still = Find([](double step) { return step <= 0; });
      if (still.count > 0) throw Wrong(still.first, "time to rise: leave out one of the two rows");
      return;
    }
    const Breaks uneven = Find([&](double step) {
      return !(step > 0 && std::abs(step - expected_) <= kTolerance * expected_);
    });
    if (uneven.count == 0) return;
    if (clock_.in_seconds) {
      throw Wrong(uneven.first,
                  fmt::format("{:.6g} s within 10 %; fit --period {:.6g} resamples, and rows of "
                              "another episode need another number in a column 'episode'",
                              expected_, expected_));
    }
    recording_.notes.push_back(fmt::format(
        "steps of '{}' are uneven ({} {}, first behind {} {}) and are learned as equal ones; if it "
        "is the time, --time-unit and --period resample it",
        clock_.name, uneven.count, uneven.count == 1 ? "time" : "times", recording_.place_unit,
        rows_[uneven.first].place));
  }

  const LogClock& clock_;
  const LogOptions& options_;
  std::vector<LogRow>& rows_;
  Recording& recording_;
  double expected_ = 0;
};

}  // namespace

void DivideByTime(const LogClock& clock, const LogOptions& options, std::vector<LogRow>& rows,
                  Recording& recording) {
  TimeJudge(clock, options, rows, recording).Judge();
}

}  // namespace foreplan

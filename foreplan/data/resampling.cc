#include "foreplan/data/resampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/turn_jumps.h"

namespace foreplan {
namespace {

constexpr double kSlack = 1e-6;  // of a period: by how much times written with few digits may miss

/// Rows of one episode, each of which continues the one before.
struct Stretch {
  int64_t first = 0;
  int64_t last = 0;

  [[nodiscard]] int64_t rows() const { return last - first + 1; }
};

/// The range of an angle that is kept within one turn; turn 0: any other component.
struct Turn {
  double low = 0;
  double turn = 0;
};

class Resampler {
 public:
  Resampler(const std::string& source, const Recording& recording, double period)
      : source_(source),
        old_(recording),
        period_(period),
        new_(recording.observation, recording.action) {
    new_.observation_units = recording.observation_units;
    new_.action_units = recording.action_units;
    new_.notes = recording.notes;
    new_.place_unit = recording.place_unit;
    new_.dt = period;
    turns_.resize(recording.observation.size());
    for (const TurnJumps& jumps : FindTurnJumps(recording.data)) {
      turns_[jumps.component] = {LowestOf(jumps.component) < 0 ? -jumps.turn / 2 : 0, jumps.turn};
    }
  }

  Recording Run() {
    Check();
    const std::vector<Stretch> stretches = Stretches();
    const auto every = static_cast<int64_t>(std::lround(period_ / old_.dt));
    const bool subsamples = every >= 1 && IsEven(stretches, every);
    for (const Stretch& stretch : stretches) {
      ++episode_;
      const int64_t before = new_.data.size();
      subsamples ? TakeEvery(stretch, every) : Interpolate(stretch);
      if (new_.data.size() == before) --episode_;
    }
    if (new_.data.size() == 0) {
      throw Wrong(fmt::format("no episode as long as the period of {:.6g} s", period_),
                  "a shorter --period");
    }
    Note(subsamples ? every : 0);
    return std::move(new_);
  }

 private:
  [[nodiscard]] InputError Wrong(std::string_view found, std::string_view expected) const {
    return InputError(fmt::format("{}: --period: found {}, expected {}", source_, found, expected));
  }

  void Check() const {
    if (old_.times.empty() || !(old_.dt > 0)) {
      throw Wrong("no times",
                  "a column 'time' [s], or one of another name or unit with --rename time=NAME or "
                  "--time-unit");
    }
    if (period_ < 0.5 * old_.dt) {
      throw Wrong(fmt::format("{:.6g} s between rows that are {:.6g} s apart", period_, old_.dt),
                  "no period below half of that: what was between them is not known");
    }
  }

  [[nodiscard]] double LowestOf(size_t component) const {
    double low = std::numeric_limits<double>::infinity();
    for (int64_t row = 0; row < old_.data.size(); ++row) {
      low = std::min(
          {low, old_.data.observation(row)[component], old_.data.next_observation(row)[component]});
    }
    return low;
  }

  [[nodiscard]] std::vector<Stretch> Stretches() const {
    std::vector<Stretch> stretches;
    for (int64_t row = 0; row < old_.data.size(); ++row) {
      if (row > 0 && old_.data.continues(row)) {
        stretches.back().last = row;
      } else {
        stretches.push_back({row, row});
      }
    }
    return stretches;
  }

  [[nodiscard]] double Begin(int64_t row) const { return old_.times[static_cast<size_t>(row)]; }
  [[nodiscard]] double End(int64_t row) const { return old_.next_times[static_cast<size_t>(row)]; }

  /// All rows are one `every`-th of the period apart.
  [[nodiscard]] bool IsEven(const std::vector<Stretch>& stretches, int64_t every) const {
    constexpr double kTolerance = 0.1;  // of a step, as in logs that are not resampled
    constexpr double kMeanTolerance = 0.01;
    const double step = period_ / static_cast<double>(every);
    if (std::abs(old_.dt - step) > kMeanTolerance * step) return false;
    return std::ranges::all_of(stretches, [&](const Stretch& stretch) {
      for (int64_t row = stretch.first; row <= stretch.last; ++row) {
        if (std::abs(End(row) - Begin(row) - step) > kTolerance * step) return false;
      }
      return true;
    });
  }

  void TakeEvery(const Stretch& stretch, int64_t every) {
    for (int64_t row = stretch.first; row + every - 1 <= stretch.last; row += every) {
      double reward = 0;
      for (int64_t i = row; i < row + every; ++i) reward += old_.data.reward(i);
      const int64_t end = row + every - 1;
      CountActions(row, end);
      Add(row, old_.data.observation(row), old_.data.next_observation(end), reward,
          old_.data.end(end));
    }
  }

  void Interpolate(const Stretch& stretch) {
    const double start = Begin(stretch.first);
    const double length = (End(stretch.last) - start) / period_;  // in periods
    CheckLength(stretch, length);
    std::vector<double> here(old_.observation.size());
    std::vector<double> next(here.size());
    int64_t row = stretch.first;  // in which the step begins
    ObservationAt(stretch, row, start, here);
    for (int64_t k = 0; static_cast<double>(k + 1) <= length + kSlack; ++k) {
      const double from = start + static_cast<double>(k) * period_;
      const double to = start + static_cast<double>(k + 1) * period_;
      while (row < stretch.last && End(row) <= from + kSlack * period_) ++row;
      int64_t last = row;  // in which it ends
      while (last < stretch.last && End(last) < to - kSlack * period_) ++last;
      ObservationAt(stretch, last, to, next);
      CountActions(row, last);
      const bool is_end = last == stretch.last && to >= End(last) - kSlack * period_;
      Add(row, here, next, RewardWithin(row, last, from, to),
          is_end ? old_.data.end(last) : StepEnd::kContinues);
      here.swap(next);
    }
  }

  /// One gap may be so long that rows between would never end.
  void CheckLength(const Stretch& stretch, double length) const {
    constexpr double kMost = 1000;  // steps a row
    if (length <= kMost * static_cast<double>(stretch.rows())) return;
    throw Wrong(
        fmt::format("an episode of {} rows that lasts {:.6g} periods", stretch.rows(), length),
        "rows that are closer; a shorter --gap");
  }

  /// At a time within the step from `row`.
  void ObservationAt(const Stretch& stretch, int64_t row, double time,
                     std::vector<double>& observation) const {
    const std::span<const double> a = old_.data.observation(row);
    const std::span<const double> b = old_.data.next_observation(row);
    const double step = End(row) - Begin(row);
    double weight = std::clamp((time - Begin(row)) / step, 0.0, 1.0);
    if (std::abs(time - End(row)) <= kSlack * period_) weight = 1;
    if (std::abs(time - Begin(row)) <= kSlack * period_ && row >= stretch.first) weight = 0;
    for (size_t i = 0; i < observation.size(); ++i) {
      const auto& [low, turn] = turns_[i];
      const double change = turn > 0 ? std::remainder(b[i] - a[i], turn) : b[i] - a[i];
      // The rows themselves stay as they are, to the bit.
      const double between = weight == 1 ? b[i] : weight == 0 ? a[i] : a[i] + weight * change;
      observation[i] = turn > 0 && weight > 0 && weight < 1
                           ? between - turn * std::floor((between - low) / turn)
                           : between;
    }
  }

  /// Each step's reward in proportion to what of it lies between the times.
  [[nodiscard]] double RewardWithin(int64_t row, int64_t last, double from, double to) const {
    double reward = 0;
    for (int64_t i = row; i <= last; ++i) {
      const double within = std::min(to, End(i)) - std::max(from, Begin(i));
      const double share = within / (End(i) - Begin(i));
      reward += (share > 1 - kSlack ? 1 : share) * old_.data.reward(i);
    }
    return reward;
  }

  void CountActions(int64_t row, int64_t last) {
    const auto first = old_.data.action(row);
    for (int64_t i = row + 1; i <= last; ++i) {
      if (std::ranges::equal(old_.data.action(i), first)) continue;
      ++mixed_;
      return;
    }
  }

  void Add(int64_t row, std::span<const double> observation, std::span<const double> next,
           double reward, StepEnd end) {
    new_.Add({.observation = observation,
              .action = old_.data.action(row),
              .next_observation = next,
              .episode = episode_,
              .reward = reward,
              .end = end},
             old_.places[static_cast<size_t>(row)]);
  }

  void Note(int64_t every) {
    const std::string how = every > 0 ? fmt::format("every {} row was taken",
                                                    every == 1 ? "" : fmt::format("{}.", every))
                                      : "observations between rows were interpolated, actions held";
    std::string note = fmt::format("resampled from {} steps of {:.6g} s to {} of {:.6g} s: {}",
                                   old_.data.size(), old_.dt, new_.data.size(), period_, how);
    if (mixed_ > 0) {
      note +=
          fmt::format("; the action changed within {} of them, and the first one counts", mixed_);
    }
    if (every != 1) new_.notes.push_back(note);
  }

  const std::string& source_;
  const Recording& old_;
  double period_;
  Recording new_;
  std::vector<Turn> turns_;  // [no]
  int episode_ = 0;
  int64_t mixed_ = 0;  // steps within which the action changes
};

}  // namespace

Recording Resampled(const std::string& source, const Recording& recording, double period) {
  return Resampler(source, recording, period).Run();
}

}  // namespace foreplan

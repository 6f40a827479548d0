// How long the decisions of a run took.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "foreplan/data/safetensors.h"

namespace foreplan {

/// Counts in bins of equal ratio, 16 to a power of ten, from a microsecond to 10,000 s; what is
/// shorter or longer counts in the first or last.
class DecisionTimes {
 public:
  static constexpr int kBinsPerDecade = 16;
  static constexpr double kShortest = 1e-6;  // [s]
  static constexpr size_t kBins = 10 * kBinsPerDecade;

  /// deadline: a decision should not take longer [s]; 0: as long as it wants.
  explicit DecisionTimes(double deadline = 0) : deadline_(deadline) {}

  void Add(double seconds);

  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] int64_t late() const { return late_; }  // took longer than the deadline
  [[nodiscard]] double deadline() const { return deadline_; }
  [[nodiscard]] int64_t InBin(size_t bin) const { return bins_[bin]; }
  /// Where a bin begins [s]; bin kBins: where the last ends.
  [[nodiscard]] static double Begin(size_t bin);
  /// Where the bin ends in which that share of the decisions is over [s]: at most 16 % too long. 0
  /// without any.
  [[nodiscard]] double Quantile(double share) const;

  /// As tensor "session.decision_times".
  void Save(TensorFile& checkpoint) const;
  /// What was saved; none where nothing was, as by an older program. Throws InputError.
  void Restore(const TensorFile& checkpoint);

 private:
  double deadline_;
  int64_t count_ = 0;
  int64_t late_ = 0;
  std::array<int64_t, kBins> bins_{};
};

}  // namespace foreplan

#include "foreplan/runs/decision_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr const char* kTensor = "session.decision_times";

}  // namespace

double DecisionTimes::Begin(size_t bin) {
  return kShortest * std::pow(10.0, static_cast<double>(bin) / kBinsPerDecade);
}

void DecisionTimes::Add(double seconds) {
  // t = shortest 10^(bin / bins per decade)
  const double bin = kBinsPerDecade * std::log10(std::max(seconds, kShortest) / kShortest);
  ++bins_[std::min(static_cast<size_t>(bin), kBins - 1)];
  ++count_;
  if (deadline_ > 0 && seconds > deadline_) ++late_;
}

double DecisionTimes::Quantile(double share) const {
  const double wanted = share * static_cast<double>(count_);
  int64_t passed = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    passed += bins_[bin];
    if (bins_[bin] > 0 && static_cast<double>(passed) >= wanted) return Begin(bin + 1);
  }
  return 0;
}

void DecisionTimes::Save(TensorFile& checkpoint) const {
  std::vector<double> values(bins_.begin(), bins_.end());
  values.push_back(static_cast<double>(late_));
  checkpoint.tensors[kTensor] = {{std::ssize(values)}, std::move(values)};
}

void DecisionTimes::Restore(const TensorFile& checkpoint) {
  if (!checkpoint.tensors.contains(kTensor)) return;
  const std::array<int64_t, 1> shape = {static_cast<int64_t>(kBins) + 1};
  const std::vector<double>& values = checkpoint.Doubles(kTensor, shape);
  constexpr double kMost = 1e15;
  for (const double value : values) {
    if (value >= 0 && value <= kMost && value == std::floor(value)) continue;
    throw InputError(fmt::format("{}: tensor '{}': found {}, expected counts", checkpoint.source,
                                 kTensor, value));
  }
  count_ = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    bins_[bin] = static_cast<int64_t>(values[bin]);
    count_ += bins_[bin];
  }
  late_ = static_cast<int64_t>(values.back());
}

}  // namespace foreplan

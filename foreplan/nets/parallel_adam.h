// Adam on gradients that come in parts, shared out to threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/size.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/nets/adam.h"

namespace foreplan {

/// Workers leave gradients of their rows in parts; these are summed in the parts' order, in pieces
/// of a fixed size, so that the bits do not depend on the number of threads. Allocates only when it
/// is made.
class ParallelAdam {
 public:
  ParallelAdam(int64_t parameters, int parts, const AdamOptions& options,
               std::shared_ptr<Executor> executor);

  /// Where a part's gradient is left: [parameters].
  [[nodiscard]] std::span<float> part(int index);

  /// Sums the parts times `factor`; returns the norm of the sum, which is not finite when a number
  /// of it is not.
  double Sum(float factor = 1);
  /// One step along the sum. `then(first, count)` follows on every piece of the parameters.
  template <typename Then>
  void Descend(std::span<float> parameters, const Then& then) {
    ++steps_;
    executor_->ParallelFor(pieces(), [&](int piece, int /*worker*/) {
      const size_t first = Size(piece) * kPiece;
      const size_t count = std::min(kPiece, parameters.size() - first);
      Step(first, parameters.subspan(first, count));
      then(first, count);
    });
  }
  void Descend(std::span<float> parameters) {
    Descend(parameters, [](size_t /*first*/, size_t /*count*/) {});
  }
  /// Moments and their count begin anew.
  void Forget();
  [[nodiscard]] int64_t steps() const { return steps_; }

  /// Moments and their count, under names that start with `prefix`.
  void Save(const std::string& prefix, TensorFile& file) const;
  /// Throws InputError when names or shapes do not fit, for moments that are no numbers, negative
  /// mean squares and a negative count; it is then as it was.
  void Restore(const std::string& prefix, const TensorFile& file);

 private:
  static constexpr size_t kPiece = 8192;  // parameters

  [[nodiscard]] int pieces() const {
    return static_cast<int>((first_moment_.size() + kPiece - 1) / kPiece);
  }
  void Step(size_t first, std::span<float> parameters);

  AdamOptions options_;
  std::shared_ptr<Executor> executor_;
  int parts_;
  std::vector<float> first_moment_, second_moment_;  // [parameters]
  std::vector<float> gradients_;                     // [parts x parameters]
  std::vector<double> squares_;                      // [pieces]
  int64_t steps_ = 0;
};

}  // namespace foreplan

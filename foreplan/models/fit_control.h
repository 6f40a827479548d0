// How a fit is followed and stopped from outside.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {

/// Told now and then how far a fit is: the share of its work that is done, 0 ... 1, and its present
/// loss. By one thread at a time, not always the same one; what it throws ends the fit.
using FitProgress = std::function<void(double share, double loss)>;

struct FitControl {
  std::stop_token stop = {};
  FitProgress progress = {};

  /// Throws Interrupted when the fit is asked to stop.
  void ThrowIfStopped() const {
    if (stop.stop_requested()) throw Interrupted("fit: stopped; the model is as it was before");
  }
  /// The same for a part of a fit, which is its work from this share on to that one.
  [[nodiscard]] FitControl Part(double first, double last) const {
    if (!progress) return *this;
    return {.stop = stop, .progress = [first, last, whole = progress](double share, double loss) {
              whole(first + (last - first) * share, loss);
            }};
  }
};

/// Adds up what the workers of one fit have done, and tells it.
class FitMeter {
 public:
  /// work > 0, in any unit. The control must outlive the meter.
  FitMeter(const FitControl& control, double work) : control_(control), work_(work) {}

  void Add(double done, double loss) {
    if (!control_.progress) return;
    const std::lock_guard lock(mutex_);
    done_ += done;
    control_.progress(done_ < work_ ? done_ / work_ : 1, loss);
  }

 private:
  const FitControl& control_;
  double work_;
  std::mutex mutex_;
  double done_ = 0;
};

}  // namespace foreplan

// Noise that is correlated in time, for smooth exploration.
#pragma once

#include <span>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {

/// Gaussian noise over a horizon whose power spectrum falls as 1/f^beta (Timmer & König 1995).
///
/// The scale is that of the generator published with iCEM (Pinneri et al. 2020), to which published
/// values of sigma refer: amplitudes are divided by the standard deviation WITHOUT the constant
/// component, which is then added, so the variance of a sample exceeds 1 (beta 2: 1.32, beta
/// 4: 1.46 over 30 steps). For beta = 0 or a single step the noise is white with variance 1. Const
/// and shared between threads after construction.
class ColoredNoise {
 public:
  /// horizon >= 1 [steps], beta >= 0.
  ColoredNoise(int horizon, double beta);

  /// Number of doubles of scratch that Fill needs.
  [[nodiscard]] size_t scratch_size() const { return 2 * horizon_; }

  /// noise: [horizon x nu], independent over the action components.
  void Fill(Random& random, size_t nu, std::span<double> noise, std::span<double> scratch) const;

  /// Variance of a sample at step t.
  [[nodiscard]] double Variance(int t) const;

 private:
  size_t horizon_;
  std::vector<double> synthesis_;  // [component x step], from standard normals to noise; or empty
};

}  // namespace foreplan

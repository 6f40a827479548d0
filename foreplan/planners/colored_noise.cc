#include "foreplan/planners/colored_noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace foreplan {
namespace {

// Amplitude of frequency k / horizon; the constant component gets that of the lowest frequency.
double Amplitude(size_t k, size_t horizon, double beta) {
  const double frequency =
      static_cast<double>(std::max<size_t>(k, 1)) / static_cast<double>(horizon);
  return std::pow(frequency, -0.5 * beta);
}

}  // namespace

ColoredNoise::ColoredNoise(int horizon, double beta) : horizon_(static_cast<size_t>(horizon)) {
  if (beta == 0 || horizon == 1) return;
  const size_t h = horizon_;
  const bool even = h % 2 == 0;

  // sigma = 2/H sqrt(sum_k s_k^2) over k = 1 ... H/2, the last one halved when H is even: the
  // published norm, which leaves out k = 0.
  double power = 0;
  for (size_t k = 1; k <= h / 2; ++k) {
    const double weight = even && k == h / 2 ? 0.5 : 1.0;
    power += std::pow(weight * Amplitude(k, h, beta), 2);
  }
  const double sigma = 2.0 / static_cast<double>(h) * std::sqrt(power);

  // Inverse real DFT of s_k (a_k + i b_k) with standard normal a_k, b_k:
  // y_t = 1/(H sigma) [ sqrt(2) s_0 a_0 + sum_k 2 s_k (a_k cos(2 pi k t/H) - b_k sin(2 pi k t/H))
  //                     + sqrt(2) s_{H/2} a_{H/2} (-1)^t ]
  synthesis_.resize(h * h);
  size_t component = 0;
  for (size_t k = 0; k <= h / 2; ++k) {
    const bool real = k == 0 || (even && k == h / 2);  // no sine at these two
    const double scale = (real ? std::numbers::sqrt2 : 2.0) * Amplitude(k, h, beta) /
                         (static_cast<double>(h) * sigma);
    for (size_t t = 0; t < h; ++t) {
      const double phase =
          2.0 * std::numbers::pi * static_cast<double>(k * t % h) / static_cast<double>(h);
      synthesis_[component * h + t] = scale * std::cos(phase);
      if (!real) synthesis_[(component + 1) * h + t] = -scale * std::sin(phase);
    }
    component += real ? 1 : 2;
  }
}

void ColoredNoise::Fill(Random& random, size_t nu, std::span<double> noise,
                        std::span<double> scratch) const {
  if (synthesis_.empty()) {
    random.FillNormal(noise);
    return;
  }
  const auto normals = scratch.first(horizon_);
  const auto sum = scratch.subspan(horizon_, horizon_);
  for (size_t i = 0; i < nu; ++i) {
    random.FillNormal(normals);
    std::ranges::fill(sum, 0.0);
    for (size_t component = 0; component < horizon_; ++component) {
      const double* row = &synthesis_[component * horizon_];
      for (size_t t = 0; t < horizon_; ++t) sum[t] += normals[component] * row[t];
    }
    for (size_t t = 0; t < horizon_; ++t) noise[t * nu + i] = sum[t];
  }
}

double ColoredNoise::Variance(int t) const {
  if (synthesis_.empty()) return 1.0;
  double variance = 0;
  for (size_t component = 0; component < horizon_; ++component) {
    const double factor = synthesis_[component * horizon_ + static_cast<size_t>(t)];
    variance += factor * factor;
  }
  return variance;
}

}  // namespace foreplan

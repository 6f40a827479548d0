// Swish and the vectorisable exponential under it.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace foreplan {

/// e^x to 2 units in the last place for x in [-87, 88]. Written without branches or calls, so that
/// the compiler turns loops over it into vector code.
inline float FastExpInRange(float x) {
  // e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to integers.
  constexpr float kRound = 12582912.0F;
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693145752F) - n * 1.42860677e-6F;
  // Taylor series of e^r to r^7; the remainder is below 2^-27.
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  // 2^n: the low bits of `shifted` hold n.
  const auto exponent = std::bit_cast<uint32_t>(shifted) << 23;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(p) + exponent);
}

/// The same for every x: saturates outside [-87, 88], NaN stays NaN.
inline float FastExp(float x) {
  return FastExpInRange(std::min(std::max(x, -87.0F), 88.0F));  // in this order NaN passes
}

/// 1 / (1 + e^-z), from e^-|z|, which never leaves the normal numbers: arithmetic on denormal ones
/// is several times slower.
inline float Sigmoid(float z) {
  const float e = FastExpInRange(std::max(-std::abs(z), -87.0F));
  const float s = 1.0F / (1.0F + e);
  return z < 0.0F ? e * s : s;
}

/// y = swish(y + bias), swish(z) = z / (1 + e^-z) (Ramachandran et al. 2017).
/// y: [rows x columns], bias: [columns].
void AddBiasSwish(int rows, int columns, const float* bias, float* y);

/// The same, and slope = swish'(z) = s + z s (1 - s), s = 1 / (1 + e^-z). slope: [rows x columns].
void AddBiasSwish(int rows, int columns, const float* bias, float* y, float* slope);

/// y += bias. y: [rows x columns].
void AddBias(int rows, int columns, const float* bias, float* y);

}  // namespace foreplan

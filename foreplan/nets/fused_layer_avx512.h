// What AVX-512 offers to the fused layers in float and in bf16. Internal to nets/; included only by
// files that are compiled for AVX-512.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace foreplan {
namespace {

struct Avx512 {
  using Vector = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kRows = 8;
  static constexpr int kVectors = 3;

  static Vector Load(const float* from) { return _mm512_load_ps(from); }
  static Vector Broadcast(uint32_t unit) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(unit)));
  }
  static void StoreOutput(float* y, Vector value) { _mm512_storeu_ps(y, value); }

  static __mmask16 Part(int count) { return static_cast<__mmask16>((1U << count) - 1); }
  static Vector LoadPart(const float* from, int count) {
    return _mm512_maskz_loadu_ps(Part(count), from);
  }
  static void StorePart(float* to, int count, Vector value) {
    _mm512_mask_storeu_ps(to, Part(count), value);
  }

  // e^t = 2^n e^r, n = round(t / ln 2), |r| <= ln 2 / 2; the Taylor series of e^r to r^kDegree.
  template <int kDegree>
  static Vector Exp(Vector t) {
    constexpr float kInverseFactorial[] = {1.0F,         1.0F,          1.0F / 2.0F,  1.0F / 6.0F,
                                           1.0F / 24.0F, 1.0F / 120.0F, 1.0F / 720.0F};
    const Vector n = _mm512_roundscale_ps(_mm512_mul_ps(t, _mm512_set1_ps(1.44269504F)), 0);
    Vector r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752F), t);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6F), r);
    Vector p = _mm512_set1_ps(kInverseFactorial[kDegree]);
    for (int i = kDegree - 1; i >= 0; --i) {
      p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(kInverseFactorial[i]));
    }
    return _mm512_scalef_ps(p, n);
  }

  // Keeps e^t finite and the inverse of 1 + e^t a normal number; a NaN, as second operand of min and
  // max, passes.
  static Vector Clamp(Vector t) {
    return _mm512_max_ps(_mm512_set1_ps(-87.0F), _mm512_min_ps(_mm512_set1_ps(87.0F), t));
  }
  static Vector ExpOf(Vector t) { return Exp<6>(Clamp(t)); }

  // 1 / (1 + e^t): 14 bits from the processor, doubled by a step of Newton, s <- s (2 - d s).
  template <int kDegree>
  static Vector Logistic(Vector t) {
    const Vector d = _mm512_add_ps(_mm512_set1_ps(1.0F), Exp<kDegree>(Clamp(t)));
    const Vector s = _mm512_rcp14_ps(d);
    return _mm512_mul_ps(s, _mm512_fnmadd_ps(d, s, _mm512_set1_ps(2.0F)));
  }

  // sqrt(e^min + e^max / (1 + e^(max - raw))); of the root too the processor gives 14 bits, and a step
  // of Newton, q <- q + (v - q^2) / (2 q), the rest.
  static Vector Deviation(Vector max, Vector largest, Vector smallest, Vector raw) {
    const Vector v = _mm512_fmadd_ps(largest, Logistic<6>(_mm512_sub_ps(max, raw)), smallest);
    const Vector inverse = _mm512_rsqrt14_ps(v);
    const Vector q = _mm512_mul_ps(v, inverse);
    const Vector half = _mm512_mul_ps(inverse, _mm512_set1_ps(0.5F));
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, q, v), half, q);
  }
};

struct Avx512F32 : Avx512 {
  static constexpr bool kBf16 = false;

  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm512_fmadd_ps(unit, weights, sum);
  }
  // swish(z) = z / (1 + e^-z)
  static Vector Swish(Vector z) {
    return _mm512_mul_ps(z, Logistic<6>(_mm512_sub_ps(_mm512_setzero_ps(), z)));
  }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm512_storeu_ps(row + place, value);
  }
};

#ifdef __AVX512BF16__
// swish(z) = max(z, 0) + g(|z|), g(a) = -a / (1 + e^a), with g as a parabola on each of 32 segments
// of width h around 0, h, 2h, ...: good to 1e-4, a fraction of a bf16 number's rounding.
struct SwishTable {
  static constexpr int kSegments = 32;
  static constexpr double kWidth = 0.375;
  static constexpr float kLargest = 11.8F;  // g(11.8) = -9e-5 stands for all that follows
  alignas(64) float c0[kSegments], c1[kSegments], c2[kSegments];  // g = c0 + a (c1 + a c2)

  // By its series about 0, after halving the argument eight times; |a| <= 12.
  static constexpr double Exp(double a) {
    double sum = 1;
    for (int i = 12; i > 0; --i) sum = 1 + sum * a / 256 / i;
    for (int i = 0; i < 8; ++i) sum *= sum;
    return sum;
  }
  static constexpr double G(double a) { return -a / (1 + Exp(a)); }

  // Through g at the three Chebyshev nodes of each segment.
  constexpr SwishTable() : c0{}, c1{}, c2{} {
    constexpr double kNode = 0.86602540378443865 * kWidth / 2;  // cos(pi / 6)
    for (int i = 0; i < kSegments; ++i) {
      const double middle = i * kWidth;
      const double below = G(middle - kNode);
      const double above = G(middle + kNode);
      const double slope = (above - below) / (2 * kNode);
      const double curvature = (above - 2 * G(middle) + below) / (2 * kNode * kNode);
      c0[i] = static_cast<float>(G(middle) - slope * middle + curvature * middle * middle);
      c1[i] = static_cast<float>(slope - 2 * curvature * middle);
      c2[i] = static_cast<float>(curvature);
    }
  }
};
inline constexpr SwishTable kSwishTable;

struct Avx512Bf16 : Avx512 {
  static constexpr bool kBf16 = true;

  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)unit, (__m512bh)weights);
  }

  static Vector Swish(Vector z) {
    constexpr int kSmallerMagnitudeWithoutSign = 0b1010;
    const Vector a = _mm512_range_ps(z, _mm512_set1_ps(SwishTable::kLargest),
                                     kSmallerMagnitudeWithoutSign);
    // Adding 1.5 2^23 leaves round(a / h) in the lowest bits, which choose the table's entry.
    const __m512i segment = _mm512_castps_si512(
        _mm512_fmadd_ps(a, _mm512_set1_ps(static_cast<float>(1 / SwishTable::kWidth)),
                        _mm512_set1_ps(12582912.0F)));
    const auto entry = [segment](const float* table) {
      return _mm512_permutex2var_ps(_mm512_load_ps(table), segment, _mm512_load_ps(table + 16));
    };
    const Vector c0 = entry(kSwishTable.c0);
    const Vector c1 = entry(kSwishTable.c1);
    const Vector c2 = entry(kSwishTable.c2);
    const Vector g = _mm512_fmadd_ps(a, _mm512_fmadd_ps(a, c2, c1), c0);
    return _mm512_add_ps(g, _mm512_max_ps(_mm512_setzero_ps(), z));  // a NaN of z passes
  }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + place / 2),
                        (__m256i)_mm512_cvtneps_pbh(value));
  }
};
#endif

}  // namespace
}  // namespace foreplan

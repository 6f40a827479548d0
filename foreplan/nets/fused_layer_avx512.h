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

  static __mmask16 Part(int count) {
    return static_cast<__mmask16>(count < kLanes ? (1U << count) - 1 : 0xFFFFU);
  }
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

  // Keeps e^t finite and the inverse of 1 + e^t a normal number; a NaN, as second operand of min
  // and max, passes.
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

  // sqrt(e^min + e^max / (1 + e^(max - raw))); of the root too the processor gives 14 bits, and a
  // step of Newton, q <- q + (v - q^2) / (2 q), the rest.
  static Vector Deviation(Vector max, Vector largest, Vector smallest, Vector raw) {
    const Vector v = _mm512_fmadd_ps(largest, Logistic<6>(_mm512_sub_ps(max, raw)), smallest);
    const Vector inverse = _mm512_rsqrt14_ps(v);
    const Vector q = _mm512_mul_ps(v, inverse);
    const Vector half = _mm512_mul_ps(inverse, _mm512_set1_ps(0.5F));
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, q, v), half, q);
  }
};

struct Avx512F32 : Avx512 {
  static constexpr UnitNumbers kNumbers = UnitNumbers::kFloat;

  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm512_fmadd_ps(unit, weights, sum);
  }
  // swish(z) = z / (1 + e^-z), e^-z = 2^n e^r, n = round(-z / ln 2), |r| <= ln 2 / 2.
  static Vector Swish(Vector z) {
    constexpr int kSmallerMagnitude = 0b0010;          // with the sign of z
    const Vector magic = _mm512_set1_ps(12582912.0F);  // 1.5 2^23 leaves n in the lowest bits
    const Vector t = _mm512_range_ps(z, _mm512_set1_ps(87.0F), kSmallerMagnitude);
    const Vector shifted = _mm512_fnmadd_ps(t, _mm512_set1_ps(1.44269504F), magic);
    const Vector n = _mm512_sub_ps(shifted, magic);
    const Vector r = _mm512_fnmsub_ps(n, _mm512_set1_ps(0.693147182F), t);
    // Within 7e-08 of e^r before rounding: the polynomial of degree 5 with the least relative
    // error.
    Vector p = _mm512_set1_ps(0.0082976548F);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0419153832F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.166675746F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.499988943F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999999702F));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.00000012F));
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    const Vector e = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
    // 1 / d: 14 bits from the processor, doubled by a step of Newton.
    const Vector d = _mm512_add_ps(_mm512_set1_ps(1.0F), e);
    const Vector s = _mm512_rcp14_ps(d);
    return _mm512_mul_ps(_mm512_mul_ps(z, s), _mm512_fnmadd_ps(d, s, _mm512_set1_ps(2.0F)));
  }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm512_storeu_ps(row + place, value);
  }
};

#ifdef __AVX512BF16__
// swish as a parabola on each of 31 segments of width h around -15 h ... 15 h; the first is
// constant and the last the identity, as they stand for all that lies beyond. Errs by at
// most 4.5e-4, a fraction of what rounding to bf16 does.
struct SwishTable {
  static constexpr int kSegments = 32;
  static constexpr int kLast = 15;
  static constexpr double kWidth = 0.65;
  static constexpr float kLargest = static_cast<float>((kLast + 0.4) * kWidth);
  alignas(64) float c0[kSegments], c1[kSegments], c2[kSegments];  // c0 + z (c1 + z c2)

  // By its series about 0, after halving the argument eight times; |z| <= 12.
  static constexpr double Exp(double z) {
    double sum = 1;
    for (int i = 12; i > 0; --i) sum = 1 + sum * z / 256 / i;
    for (int i = 0; i < 8; ++i) sum *= sum;
    return sum;
  }
  static constexpr double Swish(double z) { return z / (1 + Exp(-z)); }

  // Through swish at the three Chebyshev nodes of each segment. Segment i has entry i modulo 32.
  constexpr SwishTable() : c0{}, c1{}, c2{} {
    constexpr double kNode = 0.86602540378443865 * kWidth / 2;  // cos(pi / 6)
    for (int i = 1 - kLast; i < kLast; ++i) {
      const double middle = i * kWidth;
      const double below = Swish(middle - kNode);
      const double above = Swish(middle + kNode);
      const double slope = (above - below) / (2 * kNode);
      const double curvature = (above - 2 * Swish(middle) + below) / (2 * kNode * kNode);
      const int entry = i & (kSegments - 1);
      c0[entry] = static_cast<float>(Swish(middle) - slope * middle + curvature * middle * middle);
      c1[entry] = static_cast<float>(slope - 2 * curvature * middle);
      c2[entry] = static_cast<float>(curvature);
    }
    c0[-kLast & (kSegments - 1)] = static_cast<float>(Swish((0.5 - kLast) * kWidth) / 2);
    c1[kLast] = 1;
  }
};
inline constexpr SwishTable kSwishTable;

struct Avx512Bf16 : Avx512 {
  static constexpr UnitNumbers kNumbers = UnitNumbers::kRoundedPairs;

  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)unit, (__m512bh)weights);
  }

  static Vector Swish(Vector z) {
    constexpr int kSmallerMagnitude = 0b0010;  // with the sign of z
    const Vector clamped =
        _mm512_range_ps(z, _mm512_set1_ps(SwishTable::kLargest), kSmallerMagnitude);
    // Adding 1.5 2^23 leaves round(z / h) in the lowest bits, which choose the table's entry.
    const __m512i segment = _mm512_castps_si512(
        _mm512_fmadd_ps(clamped, _mm512_set1_ps(static_cast<float>(1 / SwishTable::kWidth)),
                        _mm512_set1_ps(12582912.0F)));
    const auto entry = [segment](const float* table) {
      return _mm512_permutex2var_ps(_mm512_load_ps(table), segment, _mm512_load_ps(table + 16));
    };
    const Vector c1 = _mm512_fmadd_ps(z, entry(kSwishTable.c2), entry(kSwishTable.c1));
    return _mm512_fmadd_ps(z, c1, entry(kSwishTable.c0));  // a NaN of z passes
  }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + place / 2),
                        (__m256i)_mm512_cvtneps_pbh(value));
  }
};

inline void SplitInputs(int rows, int inputs, const float* x, uint32_t* units, int stride) {
  for (int row = 0; row < rows; ++row, x += inputs, units += stride) {
    for (int first = 0; first < stride; first += Avx512::kLanes) {
      const int left = inputs - first;
      const __m512 value = Avx512::LoadPart(x + first, left < 0 ? 0 : left);
      const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(value));
      const __m512 rest = _mm512_sub_ps(value, _mm512_castsi512_ps(_mm512_slli_epi32(high, 16)));
      const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(rest));
      _mm512_mask_storeu_epi32(units + first, Avx512::Part(stride - first),
                               _mm512_or_si512(high, _mm512_slli_epi32(low, 16)));
    }
  }
}
#endif

}  // namespace
}  // namespace foreplan

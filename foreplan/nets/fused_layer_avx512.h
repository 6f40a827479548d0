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

  // swish(z) = z / (1 + e^-z). The clamp keeps e^-z finite and its inverse a normal number; a NaN,
  // as second operand of min and max, passes.
  template <int kDegree>
  static Vector SwishOfDegree(Vector z) {
    Vector t = _mm512_sub_ps(_mm512_setzero_ps(), z);
    t = _mm512_max_ps(_mm512_set1_ps(-87.0F), _mm512_min_ps(_mm512_set1_ps(87.0F), t));
    const Vector d = _mm512_add_ps(_mm512_set1_ps(1.0F), Exp<kDegree>(t));
    // 1 / d: 14 bits from the processor, doubled by a step of Newton, s <- s (2 - d s).
    const Vector s = _mm512_rcp14_ps(d);
    return _mm512_mul_ps(z, _mm512_mul_ps(s, _mm512_fnmadd_ps(d, s, _mm512_set1_ps(2.0F))));
  }
};

struct Avx512F32 : Avx512 {
  static constexpr bool kBf16 = false;

  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm512_fmadd_ps(unit, weights, sum);
  }
  static Vector Swish(Vector z) { return SwishOfDegree<6>(z); }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm512_storeu_ps(row + place, value);
  }
};

#ifdef __AVX512BF16__
struct Avx512Bf16 : Avx512 {
  static constexpr bool kBf16 = true;

  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)unit, (__m512bh)weights);
  }
  // bf16 keeps 8 bits: the series to r^4 is exact to 4e-5.
  static Vector Swish(Vector z) { return SwishOfDegree<4>(z); }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + place / 2),
                        (__m256i)_mm512_cvtneps_pbh(value));
  }
};
#endif

}  // namespace
}  // namespace foreplan

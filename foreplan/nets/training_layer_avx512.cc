// Compiled with AVX-512 (CMakeLists.txt); runs only where the processor has it.
#include "foreplan/core/processor.h"
#include "foreplan/nets/training_layer.h"

#ifdef __AVX512F__
#include <immintrin.h>

#include "foreplan/nets/training_layer_template.h"
#endif

namespace foreplan {

#ifdef __AVX512F__
namespace {

/// Half of a vector, for the last columns.
struct Avx512Half {
  using Vector = __m256;
  using Mask = __mmask8;
  static constexpr int kLanes = 8;

  static Mask First(int count) { return static_cast<Mask>((1U << count) - 1); }
  static Vector Zero() { return _mm256_setzero_ps(); }
  static Vector All(float value) { return _mm256_set1_ps(value); }
  static Vector Load(const float* from) { return _mm256_loadu_ps(from); }
  static Vector LoadPart(const float* from, Mask mask) { return _mm256_maskz_loadu_ps(mask, from); }
  static void Store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
  static void StorePart(float* to, Mask mask, Vector value) {
    _mm256_mask_storeu_ps(to, mask, value);
  }
  static Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector Min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static Vector Abs(Vector x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x); }
  static Vector Select(Vector z, Vector a, Vector b) {
    return _mm256_mask_blend_ps(_mm256_cmp_ps_mask(z, Zero(), _CMP_LT_OQ), b, a);
  }
  static Vector ScaleByPower(Vector p, Vector shifted) {
    return _mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
  }
};

struct Avx512 {
  using Vector = __m512;
  using Mask = __mmask16;
  using Half = Avx512Half;
  static constexpr int kLanes = 16;
  static constexpr int kRows = 8;
  static constexpr int kVectors = 3;

  static Mask First(int count) { return static_cast<Mask>((1U << count) - 1); }
  static Vector Zero() { return _mm512_setzero_ps(); }
  static Vector All(float value) { return _mm512_set1_ps(value); }
  static Vector Load(const float* from) { return _mm512_loadu_ps(from); }
  static Vector LoadPart(const float* from, Mask mask) { return _mm512_maskz_loadu_ps(mask, from); }
  static void Store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static void StorePart(float* to, Mask mask, Vector value) {
    _mm512_mask_storeu_ps(to, mask, value);
  }
  static Vector Keep(Mask mask, Vector value) { return _mm512_maskz_mov_ps(mask, value); }
  static Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
  static Vector Max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector Min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector Abs(Vector x) { return _mm512_abs_ps(x); }
  static Vector Root(Vector x) { return _mm512_sqrt_ps(x); }
  static float Root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
  static Vector Select(Vector z, Vector a, Vector b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(z, Zero(), _CMP_LT_OQ), b, a);
  }
  // 2^n p; the low bits of `shifted` hold n.
  static Vector ScaleByPower(Vector p, Vector shifted) {
    return _mm512_castsi512_ps(_mm512_add_epi32(
        _mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
  }
  static float Sum(Vector x) { return _mm512_reduce_add_ps(x); }

  // Sixteen rows, in place: pairs of numbers, of pairs, and of quarters of vectors change places.
  static void Transpose(Vector* rows) {
    Vector pairs[kLanes];
    for (int i = 0; i < kLanes; i += 2) {
      pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
      pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    Vector fours[kLanes];
    for (int i = 0; i < kLanes; i += 4) {
      for (int k = 0; k < 2; ++k) {
        const __m512d low = _mm512_castps_pd(pairs[i + k]);
        const __m512d high = _mm512_castps_pd(pairs[i + 2 + k]);
        fours[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
        fours[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
      }
    }
    constexpr int kEven = 0x88;  // quarters 0 and 2 of either
    constexpr int kOdd = 0xDD;
    for (int i = 0; i < 4; ++i) {
      const Vector top_even = _mm512_shuffle_f32x4(fours[i], fours[i + 4], kEven);
      const Vector top_odd = _mm512_shuffle_f32x4(fours[i], fours[i + 4], kOdd);
      const Vector low_even = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], kEven);
      const Vector low_odd = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], kOdd);
      rows[i] = _mm512_shuffle_f32x4(top_even, low_even, kEven);
      rows[i + 4] = _mm512_shuffle_f32x4(top_odd, low_odd, kEven);
      rows[i + 8] = _mm512_shuffle_f32x4(top_even, low_even, kOdd);
      rows[i + 12] = _mm512_shuffle_f32x4(top_odd, low_odd, kOdd);
    }
  }
};

}  // namespace
#endif

const TrainingLayerKernel* TrainingLayerAvx512() {
#ifdef __AVX512F__
  static constexpr TrainingLayerKernel kKernel = MakeTrainingKernel<Avx512>("avx512");
  if (ProcessorHasAvx512()) return &kKernel;
#endif
  return nullptr;
}

}  // namespace foreplan

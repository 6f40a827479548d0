// Compiled with AVX2 and FMA (CMakeLists.txt); runs only where the processor has them.
#include "foreplan/core/processor.h"
#include "foreplan/nets/training_layer.h"

#ifdef __AVX2__
#include <immintrin.h>

#include "foreplan/nets/training_layer_template.h"
#endif

namespace foreplan {

#ifdef __AVX2__
namespace {

struct Avx2 {
  using Vector = __m256;
  using Mask = __m256i;
  using Half = Avx2;
  static constexpr int kLanes = 8;
  static constexpr int kRows = 4;
  static constexpr int kVectors = 3;

  static Mask First(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vector Zero() { return _mm256_setzero_ps(); }
  static Vector All(float value) { return _mm256_set1_ps(value); }
  static Vector Load(const float* from) { return _mm256_loadu_ps(from); }
  static Vector LoadPart(const float* from, Mask mask) { return _mm256_maskload_ps(from, mask); }
  static void Store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
  static void StorePart(float* to, Mask mask, Vector value) {
    _mm256_maskstore_ps(to, mask, value);
  }
  static Vector Keep(Mask mask, Vector value) {
    return _mm256_and_ps(_mm256_castsi256_ps(mask), value);
  }
  static Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector Min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static Vector Abs(Vector x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x); }
  static Vector Root(Vector x) { return _mm256_sqrt_ps(x); }
  static float Root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
  static Vector Select(Vector z, Vector a, Vector b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(z, Zero(), _CMP_LT_OQ));
  }
  // 2^n p; the low bits of `shifted` hold n.
  static Vector ScaleByPower(Vector p, Vector shifted) {
    return _mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
  }
  static float Sum(Vector x) {
    alignas(32) float lanes[kLanes];
    _mm256_store_ps(lanes, x);
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum;
  }

  // Eight rows, in place: pairs of numbers, of pairs, and of halves of vectors change places.
  static void Transpose(Vector* rows) {
    Vector fours[kLanes];
    for (int i = 0; i < kLanes; i += 4) {
      for (int k = 0; k < 2; ++k) {
        const Vector low = k == 0 ? _mm256_unpacklo_ps(rows[i], rows[i + 1])
                                  : _mm256_unpackhi_ps(rows[i], rows[i + 1]);
        const Vector high = k == 0 ? _mm256_unpacklo_ps(rows[i + 2], rows[i + 3])
                                   : _mm256_unpackhi_ps(rows[i + 2], rows[i + 3]);
        fours[i + 2 * k] = _mm256_shuffle_ps(low, high, 0x44);
        fours[i + 2 * k + 1] = _mm256_shuffle_ps(low, high, 0xEE);
      }
    }
    for (int i = 0; i < 4; ++i) {
      rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
      rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
  }
};

}  // namespace
#endif

const TrainingLayerKernel* TrainingLayerAvx2() {
#ifdef __AVX2__
  static constexpr TrainingLayerKernel kKernel = MakeTrainingKernel<Avx2>("avx2");
  if (ProcessorHasAvx2()) return &kKernel;
#endif
  return nullptr;
}

}  // namespace foreplan

// Compiled with AVX2 and FMA (CMakeLists.txt); runs only where the processor has them.
#include "foreplan/core/processor.h"
#include "foreplan/nets/fused_layer.h"

#ifdef __AVX2__
#include <immintrin.h>

#include "foreplan/nets/fused_layer_template.h"
#endif

namespace foreplan {

#ifdef __AVX2__
namespace {

struct Avx2 {
  using Vector = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kRows = 4;
  static constexpr int kVectors = 3;
  static constexpr UnitNumbers kNumbers = UnitNumbers::kFloat;

  static Vector Load(const float* from) { return _mm256_load_ps(from); }
  static Vector Broadcast(uint32_t unit) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(unit)));
  }
  static Vector MultiplyAdd(Vector unit, Vector weights, Vector sum) {
    return _mm256_fmadd_ps(unit, weights, sum);
  }
  static void StoreOutput(float* y, Vector value) { _mm256_storeu_ps(y, value); }
  static void StoreHidden(uint32_t* row, ptrdiff_t place, Vector value) {
    _mm256_storeu_ps(reinterpret_cast<float*>(row) + place, value);
  }

  static __m256i Part(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vector LoadPart(const float* from, int count) {
    return _mm256_maskload_ps(from, Part(count));
  }
  static void StorePart(float* to, int count, Vector value) {
    _mm256_maskstore_ps(to, Part(count), value);
  }

  // e^t = 2^n e^r as in fused_layer_avx512.h; a NaN passes the clamp.
  static Vector ExpOf(Vector t) {
    t = _mm256_max_ps(_mm256_set1_ps(-87.0F), _mm256_min_ps(_mm256_set1_ps(87.0F), t));
    const Vector n = _mm256_round_ps(_mm256_mul_ps(t, _mm256_set1_ps(1.44269504F)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    Vector r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752F), t);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6F), r);
    Vector p = _mm256_set1_ps(1.0F / 720.0F);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 120.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 24.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F / 6.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0F));
    const __m256i exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
  }

  // 1 / (1 + e^t): 11 bits from the processor, doubled by a step of Newton, s <- s (2 - d s).
  static Vector Logistic(Vector t) {
    const Vector d = _mm256_add_ps(ExpOf(t), _mm256_set1_ps(1.0F));
    const Vector s = _mm256_rcp_ps(d);
    return _mm256_mul_ps(s, _mm256_fnmadd_ps(d, s, _mm256_set1_ps(2.0F)));
  }

  // swish(z) = z / (1 + e^-z)
  static Vector Swish(Vector z) {
    return _mm256_mul_ps(z, Logistic(_mm256_sub_ps(_mm256_setzero_ps(), z)));
  }

  // sqrt(e^min + e^max / (1 + e^(max - raw)))
  static Vector Deviation(Vector max, Vector largest, Vector smallest, Vector raw) {
    return _mm256_sqrt_ps(_mm256_fmadd_ps(largest, Logistic(_mm256_sub_ps(max, raw)), smallest));
  }
};

}  // namespace
#endif

const FusedLayerKernel* FusedLayerAvx2() {
#ifdef __AVX2__
  static constexpr FusedLayerKernel kKernel = MakeKernel<Avx2>("avx2");
  if (ProcessorHasAvx2()) return &kKernel;
#endif
  return nullptr;
}

}  // namespace foreplan

// Compiled with AVX512-BF16 (CMakeLists.txt); runs only where the processor has it.
#include "foreplan/core/processor.h"
#include "foreplan/nets/fused_layer.h"

#ifdef __AVX512BF16__
#include "foreplan/nets/fused_layer_avx512.h"
#include "foreplan/nets/fused_layer_template.h"
#endif

namespace foreplan {

const FusedLayerKernel* FusedLayerAvx512Bf16() {
#ifdef __AVX512BF16__
  static constexpr FusedLayerKernel kKernel = MakeKernel<Avx512Bf16>("avx512_bf16", &SplitInputs);
  if (ProcessorHasAvx512Bf16()) return &kKernel;
#endif
  return nullptr;
}

}  // namespace foreplan

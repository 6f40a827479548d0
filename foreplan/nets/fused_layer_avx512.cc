// Compiled with AVX-512 (CMakeLists.txt); runs only where the processor has it.
#include "foreplan/core/processor.h"
#include "foreplan/nets/fused_layer.h"

#ifdef __AVX512F__
#include "foreplan/nets/fused_layer_avx512.h"
#include "foreplan/nets/fused_layer_template.h"
#endif

namespace foreplan {

const FusedLayerKernel* FusedLayerAvx512() {
#ifdef __AVX512F__
  static constexpr FusedLayerKernel kKernel = MakeKernel<Avx512F32>("avx512");
  if (ProcessorHasAvx512()) return &kKernel;
#endif
  return nullptr;
}

}  // namespace foreplan

// Compiled with AVX-512 and wide lanes (CMakeLists.txt); runs only where the processor has it.
#include "foreplan/core/normal_batch.h"
#include "foreplan/core/processor.h"

namespace foreplan {

FillNormalBatchFunction WideFillNormalBatch() {
#ifdef FOREPLAN_WIDE_LANES
  if (ProcessorHasAvx512()) return &wide::FillNormalBatch;
#endif
  return nullptr;
}

}  // namespace foreplan

#include "foreplan/nets/training_layer.h"

namespace foreplan {

size_t TrainingLayerKernel::ScratchFloats(int inputs, int outputs) {
  // The weights transposed, or rows of both sides that are fewer numbers, all with room to whole
  // vectors.
  constexpr size_t kLongest = 16;
  const auto width = static_cast<size_t>(inputs) + static_cast<size_t>(outputs);
  return static_cast<size_t>(inputs) * static_cast<size_t>(outputs) + kLongest * width;
}

const TrainingLayerKernel* FastestTrainingLayers() {
  static const TrainingLayerKernel* const kFastest =
      TrainingLayerAvx512() != nullptr ? TrainingLayerAvx512() : TrainingLayerAvx2();
  return kFastest;
}

}  // namespace foreplan

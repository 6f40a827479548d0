// What a network policy sees, in double: for an oracle that shares no code with what it judges.
#pragma once

#include <vector>

#include "foreplan/data/normaliser.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/nets/testing/evaluate_in_double.h"  // IWYU pragma: export

namespace foreplan {

inline std::vector<double> Normalised(const FeatureMap& features, const Normaliser& normaliser,
                                      const double* observation, const double* action) {
  std::vector<double> input(static_cast<size_t>(features.inputs()));
  features.Input(observation, action, input.data());
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = (input[i] - normaliser.mean[i]) / normaliser.scale[i];
  }
  return input;
}

}  // namespace foreplan

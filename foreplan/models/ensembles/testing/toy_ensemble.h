// A small system, data of it and small ensembles, for tests of what is fitted to them.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <variant>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/task.h"

namespace foreplan::testing {

/// x: position, angle and a component that never changes; u: one force.
inline EnvironmentSpec ToySpec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"still", ""}};
  spec.action = {{"force", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

inline const Encoding kToyEncoding = {.sin_cos = {"angle"}, .omit = {}, .absolute = {}};

inline void ToyStep(const double* x, double u, double* next) {
  next[0] = x[0] + 0.1 * std::sin(x[1]) + 0.05 * u;
  next[1] = x[1] + 0.2 * u - 0.02 * x[0];
  next[2] = x[2];
}

/// Rows that do not follow each other, each with `noise` on what x becomes.
inline Dataset ToyData(int rows, uint64_t stream, double noise = 0) {
  Dataset data(3, 1);
  Random random(Key{5, stream});
  for (int row = 0; row < rows; ++row) {
    const double x[3] = {random.Normal(), random.Uniform(-3, 3), 0.7};
    const double u = random.Uniform(-1, 1);
    double next[3];
    ToyStep(x, u, next);
    if (noise > 0) next[0] += noise * random.Normal();
    data.Add(x, std::span(&u, 1), next, 1);
  }
  return data;
}

inline EnsembleOptions SmallOptions() {
  EnsembleOptions options;
  options.hidden_layers = 2;
  options.width = 32;
  return options;
}

inline FitOptions QuickFit(int steps) {
  FitOptions options;
  options.min_steps = steps;
  options.max_steps = steps;
  return options;
}

inline bool SameTensors(const TensorFile& a, const TensorFile& b) {
  return std::ranges::equal(a.tensors, b.tensors, [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.shape == y.second.shape &&
           x.second.values == y.second.values;
  });
}

}  // namespace foreplan::testing

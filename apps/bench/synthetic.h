// Tasks that benchmarks learn and plan in: sizes of the published ones, made of formulas.
#pragma once

#include <memory>

#include "foreplan/core/executor.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/task.h"

namespace foreplan::apps {

struct SyntheticTask {
  EnvironmentSpec spec;
  Encoding encoding;
  std::shared_ptr<const Reward> reward;
  Dataset data;
};

/// The PETS cart-pole in closed form and its reward: 6 network inputs, 8 outputs.
SyntheticTask SyntheticCartPole();
/// The same with the hinge's angle as it is: 5 network inputs.
SyntheticTask SyntheticCartPoleRaw();
/// Sizes, encoding and reward of the PETS half-cheetah (24 network inputs, 36 outputs) on a smooth,
/// stable made-up motion.
SyntheticTask SyntheticHalfCheetah();
/// The same with all 18 observation components as inputs, and their differences as outputs.
SyntheticTask SyntheticHalfCheetahRaw();
/// The same without the first component, as Gymnasium's half-cheetah is observed: 17 components, 23
/// network inputs, 34 outputs; no reward.
SyntheticTask SyntheticGymnasiumCheetah();

/// A hundred gradient steps, so that weights are those of trained networks and imagined states stay
/// where the data are.
std::shared_ptr<const Ensemble> FitShortly(const EnsembleOptions& options,
                                           const SyntheticTask& task,
                                           std::shared_ptr<Executor> executor);

}  // namespace foreplan::apps

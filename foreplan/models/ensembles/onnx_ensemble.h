// Ensembles as graphs of ONNX.
#pragma once

#include <string>

#include "foreplan/data/normaliser.h"
#include "foreplan/data/onnx_graph.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/feature_map.h"

namespace foreplan {

/// Appends the network's inputs: encoded and normalised in doubles, then cut to floats, as
/// FeatureMap::Inputs does. observation: [n, no], action: [n, nu], "" where nu = 0; gives
/// [n, inputs].
[[nodiscard]] std::string AppendInputs(const FeatureMap& features, const Normaliser& normaliser,
                                       const std::string& observation, const std::string& action,
                                       OnnxGraph& onnx);

/// The whole step, in doubles but for the networks: inputs `observation` [n, no] and `action`
/// [n, nu]; outputs `mean` and `standard_deviation` [n, no] of the next observation, of all members
/// together, and `member_means`, `member_standard_deviations` [members, n, no].
[[nodiscard]] OnnxGraph EnsembleGraph(const Ensemble& ensemble);

}  // namespace foreplan

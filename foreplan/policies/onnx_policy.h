// Policies that are networks as graphs of ONNX.
#pragma once

#include "foreplan/data/onnx_graph.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {

/// Input `observation` [n, no]; outputs `action` [n, nu], the mean within the bounds as
/// NetworkPolicy::ActByMean gives it, and `covariance` [nu, nu] of the noise that the policy
/// learned with.
[[nodiscard]] OnnxGraph PolicyGraph(const NetworkPolicy& policy);

/// Input `observation` [n, no]; outputs `action` [n, nu], the mean action within the bounds, and
/// `deviation` [n, nu] of the normal distribution before the squashing, by which actions are drawn:
///   middle + half range tanh(artanh((action - middle) / half range) + deviation xi).
[[nodiscard]] OnnxGraph PolicyGraph(const SquashedGaussianPolicy& policy);

}  // namespace foreplan

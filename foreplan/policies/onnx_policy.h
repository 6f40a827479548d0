// Network policies as graphs of ONNX.
#pragma once

#include "foreplan/data/onnx_graph.h"
#include "foreplan/policies/network_policy.h"

namespace foreplan {

/// Input `observation` [n, no]; outputs `action` [n, nu], the mean within the bounds as
/// NetworkPolicy::ActByMean gives it, and `covariance` [nu, nu] of the noise that the policy
/// learned with.
[[nodiscard]] OnnxGraph PolicyGraph(const NetworkPolicy& policy);

}  // namespace foreplan

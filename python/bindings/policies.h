// Linear-Gaussian policies as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

#include "foreplan/models/local/linear_gaussian_dynamics.h"

namespace foreplan::python {

void BindPolicies(nanobind::module_& module);

/// Of an object of Python with A, B, c, covariance, one per step, and initial_mean,
/// initial_covariance.
LinearGaussianDynamics LinearGaussianDynamicsOf(nanobind::handle model);

}  // namespace foreplan::python

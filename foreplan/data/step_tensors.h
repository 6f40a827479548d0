// Matrices of one size per time step as one tensor.
#pragma once

#include <Eigen/Core>
#include <string>
#include <vector>

#include "foreplan/data/safetensors.h"

namespace foreplan {

/// Tensor `name`: [steps x rows x columns]. All matrices have the size of the first; at least one.
void SaveSteps(const std::string& name, const std::vector<Eigen::MatrixXd>& matrices,
               TensorFile& file);

/// The inverse; throws InputError when the tensor is missing or of another size.
[[nodiscard]] std::vector<Eigen::MatrixXd> RestoredSteps(const std::string& name, int steps,
                                                         int rows, int columns,
                                                         const TensorFile& file);

}  // namespace foreplan

// Between Python's arrays and Eigen's matrices, one per time step.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "python/bindings/arrays.h"

namespace foreplan::python {

/// [steps x rows x columns] of finite numbers, and [steps x size]; `name` is the argument's. Throw
/// as ArrayOf.
std::vector<Eigen::MatrixXd> MatricesOf(nb::handle value, const char* name);
std::vector<Eigen::VectorXd> VectorsOf(nb::handle value, const char* name);
Eigen::MatrixXd MatrixOf(nb::handle value, const char* name);
Eigen::VectorXd VectorOf(nb::handle value, const char* name);
/// Throws ValueError unless there are so many.
void CheckSteps(size_t found, const char* name, size_t expected);

/// [steps x rows x columns] and [steps x size], from at least one.
NumpyArray ToSteps(const std::vector<Eigen::MatrixXd>& matrices);
NumpyArray ToSteps(const std::vector<Eigen::VectorXd>& vectors);
NumpyArray ToMatrix(const Eigen::MatrixXd& matrix);
NumpyArray ToVector(const Eigen::VectorXd& vector);

}  // namespace foreplan::python

#include "python/bindings/matrices.h"

#include <fmt/format.h>

#include <utility>

#include "foreplan/core/error.h"

namespace foreplan::python {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Index Length(const Array& array, size_t dimension) {
  return static_cast<Eigen::Index>(array.shape(dimension));
}

void Append(const Eigen::MatrixXd& matrix, std::vector<double>& values) {
  const RowMajor rows = matrix;
  values.insert(values.end(), rows.data(), rows.data() + rows.size());
}

}  // namespace

std::vector<Eigen::MatrixXd> MatricesOf(nb::handle value, const char* name) {
  const Array array = ArrayOf(value, name, 3);
  const Eigen::Index rows = Length(array, 1);
  const Eigen::Index columns = Length(array, 2);
  std::vector<Eigen::MatrixXd> matrices;
  for (Eigen::Index t = 0; t < Length(array, 0); ++t) {
    matrices.emplace_back(
        Eigen::Map<const RowMajor>(array.data() + t * rows * columns, rows, columns));
  }
  return matrices;
}

std::vector<Eigen::VectorXd> VectorsOf(nb::handle value, const char* name) {
  const Array array = ArrayOf(value, name, 2);
  const Eigen::Index size = Length(array, 1);
  std::vector<Eigen::VectorXd> vectors;
  for (Eigen::Index t = 0; t < Length(array, 0); ++t) {
    vectors.emplace_back(Eigen::Map<const Eigen::VectorXd>(array.data() + t * size, size));
  }
  return vectors;
}

Eigen::MatrixXd MatrixOf(nb::handle value, const char* name) {
  const Array array = ArrayOf(value, name, 2);
  return Eigen::Map<const RowMajor>(array.data(), Length(array, 0), Length(array, 1));
}

Eigen::VectorXd VectorOf(nb::handle value, const char* name) {
  const Array array = ArrayOf(value, name, 1);
  return Eigen::Map<const Eigen::VectorXd>(array.data(), Length(array, 0));
}

void CheckSteps(size_t found, const char* name, size_t expected) {
  if (found == expected) return;
  throw InputError(fmt::format("{}: found {} steps, expected {}", name, found, expected));
}

NumpyArray ToSteps(const std::vector<Eigen::MatrixXd>& matrices) {
  std::vector<double> values;
  for (const Eigen::MatrixXd& matrix : matrices) Append(matrix, values);
  return ToShape(std::move(values), {matrices.size(), static_cast<size_t>(matrices.front().rows()),
                                     static_cast<size_t>(matrices.front().cols())});
}

NumpyArray ToSteps(const std::vector<Eigen::VectorXd>& vectors) {
  std::vector<double> values;
  for (const Eigen::VectorXd& vector : vectors) {
    values.insert(values.end(), vector.data(), vector.data() + vector.size());
  }
  return ToShape(std::move(values), {vectors.size(), static_cast<size_t>(vectors.front().size())});
}

NumpyArray ToMatrix(const Eigen::MatrixXd& matrix) {
  std::vector<double> values;
  Append(matrix, values);
  return ToShape(std::move(values),
                 {static_cast<size_t>(matrix.rows()), static_cast<size_t>(matrix.cols())});
}

NumpyArray ToVector(const Eigen::VectorXd& vector) {
  return ToVector(std::vector<double>(vector.data(), vector.data() + vector.size()));
}

}  // namespace foreplan::python

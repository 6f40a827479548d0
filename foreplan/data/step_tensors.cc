#include "foreplan/data/step_tensors.h"

#include <array>
#include <utility>

namespace foreplan {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

void SaveSteps(const std::string& name, const std::vector<Eigen::MatrixXd>& matrices,
               TensorFile& file) {
  const Eigen::MatrixXd& first = matrices.front();
  std::vector<double> values;
  values.reserve(matrices.size() * static_cast<size_t>(first.size()));
  for (const Eigen::MatrixXd& matrix : matrices) {
    const RowMajor rows = matrix;
    values.insert(values.end(), rows.data(), rows.data() + rows.size());
  }
  file.tensors[name] = {{std::ssize(matrices), first.rows(), first.cols()}, std::move(values)};
}

std::vector<Eigen::MatrixXd> RestoredSteps(const std::string& name, int steps, int rows,
                                           int columns, const TensorFile& file) {
  const std::array<int64_t, 3> shape = {steps, rows, columns};
  const double* at = file.Doubles(name, shape).data();
  std::vector<Eigen::MatrixXd> matrices;
  for (int t = 0; t < steps; ++t, at += rows * columns) {
    matrices.emplace_back(Eigen::Map<const RowMajor>(at, rows, columns));
  }
  return matrices;
}

}  // namespace foreplan

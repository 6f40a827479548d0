#include "foreplan/data/step_tensors.h"

#include <gtest/gtest.h>

#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

TEST(StepTensors, AreRowMajorAndComeBack) {
  std::vector<Eigen::MatrixXd> matrices(2, Eigen::MatrixXd(2, 3));
  matrices[0] << 1, 2, 3, 4, 5, 6;
  matrices[1] << 7, 8, 9, 10, 11, 12;
  TensorFile file;
  SaveSteps("x", matrices, file);
  const Tensor& tensor = file.tensors.at("x");
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 2, 3}));
  EXPECT_EQ(std::get<std::vector<double>>(tensor.values),
            (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(RestoredSteps("x", 2, 2, 3, file), matrices);
  EXPECT_THROW((void)RestoredSteps("x", 2, 3, 2, file), InputError);
}

}  // namespace
}  // namespace foreplan

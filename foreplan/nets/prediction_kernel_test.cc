// Every prediction kernel this processor offers, against networks evaluated in double.
#include "foreplan/nets/prediction_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/nets/losses.h"

namespace foreplan {
namespace {

bool IsBf16(const PredictionKernel& kernel) { return kernel.precision() == Precision::kBf16; }

std::vector<const PredictionKernel*> EveryKernel() {
  std::vector<const PredictionKernel*> kernels = FusedPredictionKernels();
  for (const std::string& name : DenseKernelNames()) {
    if (name != "auto") kernels.push_back(&GetPredictionKernel(name, Precision::kF32));
  }
  return kernels;
}

// A network with parameters of the size that training leaves behind: weights up to several times
// their initial deviation, biases of order one.
class Network {
 public:
  Network(std::vector<int> widths, const PredictionKernel& kernel)
      : mlp_(std::move(widths)),
        kernel_(kernel),
        parameters_(static_cast<size_t>(mlp_.parameters())),
        packed_(kernel.packed_bytes(mlp_)) {
    Random random(Key{3, 1});
    for (int layer = 0; layer < mlp_.layers(); ++layer) {
      const double sigma = 1.5 / std::sqrt(static_cast<double>(mlp_.layer_inputs(layer)));
      for (int i = mlp_.weight_offset(layer);
           i < mlp_.bias_offset(layer) + mlp_.layer_outputs(layer); ++i) {
        parameters_[static_cast<size_t>(i)] = static_cast<float>(sigma * random.Normal());
      }
    }
    kernel_.Pack(mlp_, parameters_, packed_);
  }

  [[nodiscard]] std::vector<float> Inputs(int rows) const {
    Random random(Key{3, 2});
    std::vector<float> x(static_cast<size_t>(rows) * static_cast<size_t>(mlp_.inputs()));
    for (float& value : x) value = static_cast<float>(random.Normal());
    return x;
  }

  [[nodiscard]] std::vector<float> Predict(int rows, const std::vector<float>& x) const {
    AlignedVector<std::byte> work(kernel_.work_bytes(mlp_, rows));
    const auto [y, stride] = kernel_.Predict(mlp_, packed_, rows, x.data(), work);
    std::vector<float> outputs;
    for (int row = 0; row < rows; ++row) {
      outputs.insert(outputs.end(), y + row * stride, y + row * stride + mlp_.outputs());
    }
    return outputs;
  }

  // The same in double, unit by unit.
  [[nodiscard]] std::vector<double> Reference(int rows, const std::vector<float>& x) const {
    std::vector<double> outputs;
    for (int row = 0; row < rows; ++row) {
      std::vector<double> values(x.begin() + row * mlp_.inputs(),
                                 x.begin() + (row + 1) * mlp_.inputs());
      for (int layer = 0; layer < mlp_.layers(); ++layer) values = Layer(layer, values);
      outputs.insert(outputs.end(), values.begin(), values.end());
    }
    return outputs;
  }

 private:
  [[nodiscard]] std::vector<double> Layer(int layer, const std::vector<double>& x) const {
    std::vector<double> y;
    for (int o = 0; o < mlp_.layer_outputs(layer); ++o) {
      double z = parameters_[static_cast<size_t>(mlp_.bias_offset(layer) + o)];
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t at = static_cast<size_t>(mlp_.weight_offset(layer) + o) +
                          i * static_cast<size_t>(mlp_.layer_outputs(layer));
        z += x[i] * parameters_[at];
      }
      y.push_back(layer + 1 < mlp_.layers() ? z / (1 + std::exp(-z)) : z);
    }
    return y;
  }

  Mlp mlp_;
  const PredictionKernel& kernel_;
  std::vector<float> parameters_;
  AlignedVector<std::byte> packed_;
};

// Widths that are, and are not, multiples of vectors and panels; networks of one layer too.
const std::vector<std::vector<int>> kShapes = {{6, 200, 200, 200, 8}, {3, 48, 3}, {5, 1, 33, 50, 7},
                                               {24, 64, 36},          {4, 9},     {1, 17, 31, 1}};

class EveryPredictionKernel : public testing::TestWithParam<const PredictionKernel*> {
 protected:
  [[nodiscard]] static const PredictionKernel& kernel() { return *GetParam(); }
  // Root mean square errors relative to the outputs' root mean square: sums of at most 200 products
  // over four layers; a product errs by 2^-24 in float, by 2^-8 in bf16, and errors average out.
  [[nodiscard]] static double Tolerance() { return IsBf16(kernel()) ? 1.5e-2 : 2e-6; }
};
INSTANTIATE_TEST_SUITE_P(Kernels, EveryPredictionKernel, testing::ValuesIn(EveryKernel()),
                         [](const auto& info) { return info.param->name(); });

TEST_P(EveryPredictionKernel, EqualsANetworkInDoubleForAnyShape) {
  for (const std::vector<int>& widths : kShapes) {
    const Network network(widths, kernel());
    const int rows = 37;
    const std::vector<float> x = network.Inputs(rows);
    const std::vector<float> y = network.Predict(rows, x);
    const std::vector<double> expected = network.Reference(rows, x);
    double squared_error = 0;
    double square = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      squared_error += std::pow(y[i] - expected[i], 2);
      square += std::pow(expected[i], 2);
    }
    EXPECT_LE(std::sqrt(squared_error / square), Tolerance()) << widths.size() << " widths";
  }
}

// The libraries behind "onednn" and "eigen" may sum in another order for another number of rows.
TEST(PredictionKernel, ARowOfFusedLayersDoesNotDependOnTheOthers) {
  for (const PredictionKernel* kernel : FusedPredictionKernels()) {
    const Network network({6, 200, 200, 8}, *kernel);
    const std::vector<float> x = network.Inputs(64);
    const std::vector<float> all = network.Predict(64, x);
    for (const int rows : {1, 2, 3, 7, 8, 9, 13, 33}) {
      if (rows <= 8 && kernel->name() == "amx_f32") continue;  // these go through avx512
      const std::vector<float> some = network.Predict(rows, x);
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << rows << " rows";
    }
  }
}

TEST_P(EveryPredictionKernel, LargeActivationsSaturateAndNanComesOutAsNan) {
  const Network network({2, 40, 3}, kernel());
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const int copies : {1, 6}) {  // few rows may go another way
    std::vector<float> x;
    for (int i = 0; i < copies; ++i) x.insert(x.end(), {1e4F, -1e4F, kNan, 0.0F, 1.0F, 1.0F});
    const std::vector<float> y = network.Predict(3 * copies, x);
    for (size_t i = 0; i < y.size(); ++i) {
      EXPECT_EQ(std::isnan(y[i]), i / 3 % 3 == 1) << "output " << i % 3 << " of row " << i / 3;
      EXPECT_FALSE(std::isinf(y[i]));
    }
  }
}

TEST_P(EveryPredictionKernel, SwishIsExactToItsPrecision) {
  // y = swish(x): one unit, weights 1, no biases. What is left in bf16 is the rounding of y to 8
  // bits and the 4.5e-4 of the parabolas; in float, three roundings and 2 units of the exponential.
  const Mlp mlp({1, 1, 1});
  std::vector<float> parameters(static_cast<size_t>(mlp.parameters()), 0.0F);
  for (int layer = 0; layer < 2; ++layer) {
    parameters[static_cast<size_t>(mlp.weight_offset(layer))] = 1.0F;
  }
  AlignedVector<std::byte> packed(kernel().packed_bytes(mlp));
  kernel().Pack(mlp, parameters, packed);
  std::vector<float> x;
  for (int i = -3000; i <= 3000; ++i) x.push_back(0.01F * static_cast<float>(i));
  const int rows = static_cast<int>(x.size());
  AlignedVector<std::byte> work(kernel().work_bytes(mlp, rows));
  const auto [y, stride] = kernel().Predict(mlp, packed, rows, x.data(), work);
  for (int row = 0; row < rows; ++row) {
    const double z = x[static_cast<size_t>(row)];
    const double expected = z / (1 + std::exp(-z));
    const double tolerance =
        IsBf16(kernel()) ? 4.6e-4 + std::abs(expected) / 256 : 4e-7 * std::abs(expected) + 1e-30;
    EXPECT_NEAR(y[row * stride], expected, tolerance) << kernel().name() << " at " << z;
  }
}

TEST_P(EveryPredictionKernel, DeviationsAreThoseOfTheLoss) {
  for (const int dim : {1, 4, 7, 8, 16, 18, 33}) {
    const int rows = 5;
    const int stride = dim + 3;
    std::vector<float> max(static_cast<size_t>(dim), 0.5F);
    std::vector<float> min(static_cast<size_t>(dim), -10.0F);
    std::vector<float> raw(static_cast<size_t>(rows * stride));
    Random random(Key{3, 3});
    for (float& value : raw) value = static_cast<float>(8 * random.Normal());
    std::vector<float> expected(static_cast<size_t>(rows * dim));
    std::vector<float> deviation(expected.size());
    BoundedDeviation(rows, dim, raw.data(), stride, {max.data(), min.data()}, expected.data());
    kernel().Deviation(rows, dim, raw.data(), stride, {max.data(), min.data()}, deviation.data());
    // Exponential, inverse and root err by a few units in the last place each.
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(deviation[i], expected[i], 2e-6 * expected[i]) << dim;
    }
  }
}

TEST(PredictionKernel, Bf16IsRefusedWhereItCannotRun) {
  EXPECT_THROW(GetPredictionKernel("eigen", Precision::kBf16), InputError);
  const bool any = std::ranges::any_of(FusedPredictionKernels(),
                                       [](const auto* kernel) { return IsBf16(*kernel); });
  if (!any) {
    EXPECT_THROW(GetPredictionKernel("auto", Precision::kBf16), InputError);
  }
}

TEST(PredictionKernel, UnknownNameIsTheUsersError) {
  EXPECT_THROW(GetPredictionKernel("oneddn", Precision::kF32), InputError);
}

}  // namespace
}  // namespace foreplan

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
#include "foreplan/nets/fused_layer.h"

namespace foreplan {
namespace {

struct Choice {
  std::string kernel;
  Precision precision;
};

bool HasBf16() { return FusedLayerAvx512Bf16() != nullptr; }

std::vector<Choice> Choices() {
  std::vector<Choice> choices;
  for (const std::string& name : DenseKernelNames()) choices.push_back({name, Precision::kF32});
  if (HasBf16()) choices.push_back({"auto", Precision::kBf16});
  return choices;
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

class EveryPredictionKernel : public testing::TestWithParam<Choice> {
 protected:
  [[nodiscard]] static const PredictionKernel& kernel() {
    return GetPredictionKernel(GetParam().kernel, GetParam().precision);
  }
  // Root mean square errors relative to the outputs' root mean square: sums of at most 200 products
  // over four layers; a product errs by 2^-24 in float, by 2^-8 in bf16, and errors average out.
  [[nodiscard]] static double Tolerance() {
    return GetParam().precision == Precision::kBf16 ? 1.5e-2 : 2e-6;
  }
};
INSTANTIATE_TEST_SUITE_P(Kernels, EveryPredictionKernel, testing::ValuesIn(Choices()),
                         [](const auto& info) {
                           const bool bf16 = info.param.precision == Precision::kBf16;
                           return info.param.kernel + (bf16 ? "_bf16" : "_f32");
                         });

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
  for (const Choice& choice : Choices()) {
    if (choice.kernel != "auto") continue;
    const Network network({6, 200, 200, 8}, GetPredictionKernel(choice.kernel, choice.precision));
    const std::vector<float> x = network.Inputs(64);
    const std::vector<float> all = network.Predict(64, x);
    for (const int rows : {1, 2, 3, 7, 8, 13}) {
      const std::vector<float> some = network.Predict(rows, x);
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << rows << " rows";
    }
  }
}

TEST_P(EveryPredictionKernel, LargeActivationsSaturateAndNanComesOutAsNan) {
  const Network network({2, 40, 3}, kernel());
  const std::vector<float> y =
      network.Predict(3, {1e4F, -1e4F, std::numeric_limits<float>::quiet_NaN(), 0.0F, 1.0F, 1.0F});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::isfinite(y[i]));
    EXPECT_TRUE(std::isnan(y[3 + i]));
    EXPECT_TRUE(std::isfinite(y[6 + i]));
  }
}

TEST(PredictionKernel, FusedLayersOfOlderProcessorsAgreeToo) {
  // "auto" takes the best instruction set; the lesser ones are tested through the layer itself:
  // y = swish(b + x w) for one unit and a column of ones.
  for (const FusedLayerKernel* layers : {FusedLayerAvx2(), FusedLayerAvx512()}) {
    if (layers == nullptr) continue;
    const auto lanes = static_cast<size_t>(layers->lanes);
    AlignedVector<float> packed(2 * lanes, 0.25F);  // biases, then weights
    for (int i = -2000; i <= 2000; ++i) {
      const float x = 0.05F * static_cast<float>(i);
      std::vector<float> y(lanes);
      layers->hidden(1, 1, &x, 1, packed.data(), layers->lanes, y.data(), layers->lanes);
      const double z = 0.25 + 0.25 * static_cast<double>(x);
      const double expected = z / (1 + std::exp(-z));
      // Three roundings of the result and 2 units of the exponential.
      for (const float value : y) EXPECT_NEAR(value, expected, 4e-7 * (1e-30 + std::abs(expected)));
    }
  }
}

TEST(PredictionKernel, Bf16IsRefusedWhereItCannotRun) {
  EXPECT_THROW(GetPredictionKernel("eigen", Precision::kBf16), InputError);
  if (!HasBf16()) {
    EXPECT_THROW(GetPredictionKernel("auto", Precision::kBf16), InputError);
  }
}

TEST(PredictionKernel, UnknownNameIsTheUsersError) {
  EXPECT_THROW(GetPredictionKernel("oneddn", Precision::kF32), InputError);
}

}  // namespace
}  // namespace foreplan

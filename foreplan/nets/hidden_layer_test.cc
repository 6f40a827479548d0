// Networks of every activation, with and without the norm of their layers, against differences of
// an evaluation in double.
#include "foreplan/nets/hidden_layer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/size.h"
#include "foreplan/data/testing/onnx_evaluation.h"
#include "foreplan/nets/mlp_jacobian.h"
#include "foreplan/nets/mlp_tape.h"
#include "foreplan/nets/onnx_mlp.h"
#include "foreplan/nets/prediction_kernel.h"
#include "foreplan/nets/testing/evaluate_in_double.h"

namespace foreplan {
namespace {

constexpr int kRows = 17;  // so many that layers for training take them
constexpr int kSlots = 2;

std::vector<float> Floats(int count, uint64_t stream) {
  Random random(Key{9, stream});
  std::vector<float> values(Size(count));
  for (float& value : values) value = static_cast<float>(0.7 * random.Normal());
  return values;
}

std::vector<double> Doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

class EveryMlpOptions : public ::testing::TestWithParam<MlpOptions> {
 protected:
  // Rows of several slots, one after the other, and a gradient by their outputs.
  const Mlp mlp_{{4, 19, 33, 7, 2}, GetParam()};
  const std::vector<float> parameters_ = Floats(mlp_.parameters(), 1);
  const std::vector<float> x_ = Floats(kSlots * kRows * 4, 2);
  const std::vector<float> d_y_ = Floats(kSlots * kRows * 2, 3);

  // Outputs of all rows in double.
  [[nodiscard]] std::vector<double> Evaluate(const std::vector<double>& parameters,
                                             const std::vector<double>& x) const {
    std::vector<double> y;
    for (auto row = x.begin(); row != x.end(); row += 4) {
      const std::vector<double> of_row = EvaluateInDouble(mlp_, parameters, {row, row + 4});
      y.insert(y.end(), of_row.begin(), of_row.end());
    }
    return y;
  }

  // d (d_y' y) / d at by differences, against found. Differences in double are good to 1e-9; what
  // remains are sums of some tens of floats, which a norm of a row that hardly varies enlarges.
  void ExpectDerivative(std::vector<double>& at, std::span<const float> found,
                        const std::function<std::vector<double>()>& outputs) const {
    const auto objective = [&] {
      const std::vector<double> y = outputs();
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += d_y_[i] * y[i];
      return sum;
    };
    for (size_t i = 0; i < at.size(); ++i) {
      constexpr double kStep = 1e-5;
      const double kept = at[i];
      at[i] = kept + kStep;
      const double above = objective();
      at[i] = kept - kStep;
      const double expected = (above - objective()) / (2 * kStep);
      at[i] = kept;
      EXPECT_NEAR(found[i], expected, 1e-4 * (1 + std::abs(expected))) << i;
    }
  }

  // Both gradients over the first `rows` rows.
  void ExpectGradients(int rows, std::span<const float> d_parameters,
                       std::span<const float> d_x) const {
    std::vector<double> parameters = Doubles(parameters_);
    std::vector<double> x = Doubles(std::span(x_).first(Size(rows, 4)));
    const auto outputs = [&] { return Evaluate(parameters, x); };
    ExpectDerivative(parameters, d_parameters, outputs);
    ExpectDerivative(x, d_x, outputs);
  }
};

std::string NameOf(const MlpOptions& options) {
  const std::string name = options.activation == Activation::kSwish  ? "Swish"
                           : options.activation == Activation::kRelu ? "Relu"
                                                                     : "Elu";
  return options.layer_norm ? name + "Normed" : name;
}

std::vector<MlpOptions> AllOptions() {
  std::vector<MlpOptions> all;
  for (const Activation activation : {Activation::kSwish, Activation::kRelu, Activation::kElu}) {
    // An epsilon that is seen beside the variances.
    for (const bool norm : {false, true}) all.push_back({activation, norm, 0.1});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Options, EveryMlpOptions, ::testing::ValuesIn(AllOptions()),
                         [](const auto& info) { return NameOf(info.param); });

TEST_P(EveryMlpOptions, GradientsOfOnePassEqualDifferences) {
  for (const std::string& kernel : DenseKernelNames()) {
    MlpGradient network(mlp_, GetDenseKernel(kernel), kRows + 1);
    network.Forward(parameters_, kRows, x_.data());
    std::vector<float> d_parameters(parameters_.size());
    std::vector<float> d_x(Size(kRows, 4));
    network.Backward(parameters_, d_y_.data(), d_parameters, d_x.data());
    ExpectGradients(kRows, d_parameters, d_x);
  }
}

TEST_P(EveryMlpOptions, GradientsOfSeveralSlotsEqualDifferences) {
  MlpTape tape(mlp_, GetDenseKernel("auto"), kRows, kSlots, MlpTape::Keep::kAllGradients);
  for (int slot = 0; slot < kSlots; ++slot) {
    tape.Forward(parameters_, slot, kRows, x_.data() + Size(slot, kRows, 4));
  }
  std::vector<float> d_x(x_.size());
  for (int slot = 0; slot < kSlots; ++slot) {
    tape.PullBack(parameters_, slot, d_y_.data() + Size(slot, kRows, 2),
                  d_x.data() + Size(slot, kRows, 4));
  }
  std::vector<float> d_parameters(parameters_.size());
  tape.ParameterGradient(kSlots, d_parameters);
  ExpectGradients(kSlots * kRows, d_parameters, d_x);
}

TEST_P(EveryMlpOptions, TheJacobianIsWhatATapePullsBack) {
  MlpTape tape(mlp_, GetDenseKernel("auto"), kRows, 1, MlpTape::Keep::kInputGradients);
  MlpJacobian jacobian(mlp_, GetDenseKernel("auto"), kRows);
  jacobian.Evaluate(parameters_, kRows, x_.data());
  const float* y = tape.Forward(parameters_, 0, kRows, x_.data());
  for (int output = 0; output < 2; ++output) {
    std::vector<float> d_y(Size(kRows, 2));
    for (int row = 0; row < kRows; ++row) d_y[Size(2 * row + output)] = 1;
    std::vector<float> d_x(Size(kRows, 4));
    tape.PullBack(parameters_, 0, d_y.data(), d_x.data());
    for (int row = 0; row < kRows; ++row) {
      // The norm's sums in other orders.
      EXPECT_NEAR(jacobian.outputs()[2 * row + output], y[2 * row + output], 2e-6);
      for (int i = 0; i < 4; ++i) {
        // The same products, summed in other orders; norms of rows that hardly vary enlarge that.
        const float expected = d_x[Size(4 * row + i)];
        EXPECT_NEAR(jacobian.jacobian()[(2 * row + output) * 4 + i], expected,
                    5e-6 * (1 + std::abs(expected)));
      }
    }
  }
}

TEST_P(EveryMlpOptions, PredictionsAreTheTapesOutputs) {
  for (const std::string& name : DenseKernelNames()) {
    const PredictionKernel& kernel = GetPredictionKernel(name, Precision::kF32, GetParam());
    AlignedVector<std::byte> packed(kernel.packed_bytes(mlp_));
    AlignedVector<std::byte> work(kernel.work_bytes(mlp_, kRows));
    kernel.Pack(mlp_, parameters_, packed);
    const Prediction found = kernel.Predict(mlp_, packed, kRows, x_.data(), work);
    MlpTape tape(mlp_, GetDenseKernel(name), kRows, 1, MlpTape::Keep::kInputGradients);
    const float* y = tape.Forward(parameters_, 0, kRows, x_.data());
    for (int row = 0; row < kRows; ++row) {
      for (int i = 0; i < 2; ++i) {
        // Fused layers sum in another order, with another exponential.
        EXPECT_NEAR(found.y[row * found.stride + i], y[2 * row + i], 3e-6) << name;
      }
    }
  }
}

TEST_P(EveryMlpOptions, OnnxGivesWhatTheNetworkGives) {
  OnnxGraph onnx("network");
  const std::string x = onnx.Input("x", OnnxType::kFloat, {kRows, 4}, "");
  const std::string y = AppendMlps(mlp_, {parameters_, parameters_}, x, onnx);
  const std::vector<double> rows = Doubles(std::span(x_).first(Size(kRows, 4)));
  const auto values = OnnxEvaluation(onnx.Model({})).Run({{"x", {1, {kRows, 4}, rows}}});
  const std::vector<double> expected = Evaluate(Doubles(parameters_), rows);
  const OnnxTensor& found = values.at(y);
  ASSERT_EQ(found.shape, (std::vector<int64_t>{2, kRows, 2}));
  for (size_t i = 0; i < found.values.size(); ++i) {
    // Every step is rounded to float.
    EXPECT_NEAR(found.values[i], expected[i % expected.size()], 1e-5);
  }
}

TEST_P(EveryMlpOptions, NanComesOutAsNan) {
  std::vector<float> z = {std::numeric_limits<float>::quiet_NaN(), 1, -1, 2};
  const std::vector<float> bias(4);
  ActivateHidden(GetParam(), 1, 4, bias.data(), z.data());
  EXPECT_TRUE(std::isnan(z[0]));
  EXPECT_EQ(std::isnan(z[1]), GetParam().layer_norm);
}

TEST(MlpOptions, NormedRowsHaveMeanZeroAndVarianceOne) {
  const int units = 35;  // no multiple of vectors
  for (const MlpOptions& options : AllOptions()) {
    if (!options.layer_norm) continue;
    std::vector<float> rows = Floats(kRows * units, 4);
    for (float& value : rows) value *= 100;
    const std::vector<float> bias = Floats(units, 5);
    ActivateHidden(options, kRows, units, bias.data(), rows.data());
    for (int row = 0; row < kRows; ++row) {
      double mean = 0;
      double square = 0;
      for (int i = 0; i < units; ++i) {
        const double value = rows[Size(row * units + i)];
        mean += value / units;
        square += value * value / units;
      }
      EXPECT_NEAR(mean, 0, 1e-6) << NameOf(options);    // rounding of floats of order one
      EXPECT_NEAR(square, 1, 2e-4) << NameOf(options);  // 0.1 beside variances of some hundreds
    }
  }
}

TEST(MlpOptions, BadOnesAreTheUsersError) {
  EXPECT_THROW(Mlp({2, 3, 1}, {.norm_epsilon = 0}), InputError);
  EXPECT_THROW(Mlp({2, 3, 1}, {.norm_epsilon = std::nan("")}), InputError);
  EXPECT_THROW(GetPredictionKernel("auto", Precision::kBf16, {.layer_norm = true}), InputError);
  EXPECT_THROW(GetPredictionKernel("auto", Precision::kBf16, {.activation = Activation::kElu}),
               InputError);
}

TEST(MlpOptions, FusedLayersRefuseNetworksThatTheyLack) {
  const Mlp mlp({2, 3, 1}, {.activation = Activation::kRelu});
  const std::vector<float> parameters(Size(mlp.parameters()));
  for (const PredictionKernel* kernel : FusedPredictionKernels()) {
    AlignedVector<std::byte> packed(kernel->packed_bytes(mlp));
    EXPECT_THROW(kernel->Pack(mlp, parameters, packed), InputError) << kernel->name();
  }
}

}  // namespace
}  // namespace foreplan

#include "foreplan/nets/mlp_jacobian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"

namespace foreplan {
namespace {

struct Network {
  explicit Network(std::vector<int> widths)
      : mlp(std::move(widths)), parameters(static_cast<size_t>(mlp.parameters())) {
    Random random(Key{1, 0});
    for (float& value : parameters) value = static_cast<float>(0.4 * random.Normal());
  }

  /// The outputs at x in double: hidden layers z / (1 + e^-z).
  [[nodiscard]] std::vector<double> Evaluate(std::vector<double> x) const {
    for (int layer = 0; layer < mlp.layers(); ++layer) {
      const auto outputs = static_cast<size_t>(mlp.layer_outputs(layer));
      const float* w = parameters.data() + mlp.weight_offset(layer);
      const float* bias = parameters.data() + mlp.bias_offset(layer);
      std::vector<double> y(bias, bias + outputs);
      for (size_t i = 0; i < x.size(); ++i) {
        for (size_t o = 0; o < outputs; ++o) y[o] += x[i] * w[i * outputs + o];
      }
      if (layer + 1 < mlp.layers()) {
        for (double& z : y) z /= 1.0 + std::exp(-z);
      }
      x = std::move(y);
    }
    return x;
  }

  Mlp mlp;
  std::vector<float> parameters;
};

void ExpectDifferences(const Network& network, int knots, const std::string& kernel) {
  constexpr double kStep = 1e-5;
  const auto inputs = static_cast<size_t>(network.mlp.inputs());
  const auto outputs = static_cast<size_t>(network.mlp.outputs());
  Random random(Key{2, 0});
  std::vector<float> x(static_cast<size_t>(knots) * inputs);
  for (float& value : x) value = static_cast<float>(random.Normal());
  MlpJacobian jacobian(network.mlp, GetDenseKernel(kernel), knots + 1);
  jacobian.Evaluate(network.parameters, knots, x.data());
  for (size_t knot = 0; knot < static_cast<size_t>(knots); ++knot) {
    const std::vector<double> at(x.begin() + static_cast<std::ptrdiff_t>(knot * inputs),
                                 x.begin() + static_cast<std::ptrdiff_t>((knot + 1) * inputs));
    const std::vector<double> value = network.Evaluate(at);
    for (size_t o = 0; o < outputs; ++o) {
      // Single precision over some tens of summands.
      EXPECT_NEAR(jacobian.outputs()[knot * outputs + o], value[o], 2e-5);
    }
    for (size_t i = 0; i < inputs; ++i) {
      std::vector<double> above = at;
      std::vector<double> below = at;
      above[i] += kStep;
      below[i] -= kStep;
      const std::vector<double> high = network.Evaluate(above);
      const std::vector<double> low = network.Evaluate(below);
      for (size_t o = 0; o < outputs; ++o) {
        // The differences in double are good to 1e-10; what remains is single precision.
        EXPECT_NEAR(jacobian.jacobian()[(knot * outputs + o) * inputs + i],
                    (high[o] - low[o]) / (2 * kStep), 2e-5);
      }
    }
  }
}

TEST(MlpJacobian, EqualsDifferences) {
  for (const std::string& kernel : DenseKernelNames()) {
    ExpectDifferences(Network({5, 20, 16, 4}), 1, kernel);
    ExpectDifferences(Network({5, 20, 16, 4}), 7, kernel);
    ExpectDifferences(Network({3, 12, 6}), 2, kernel);
    ExpectDifferences(Network({3, 2}), 3, kernel);
    ExpectDifferences(Network({6, 9, 11, 9, 7, 12}), 3, kernel);
  }
}

TEST(MlpJacobian, AllocatesNothing) {
  const Network network({24, 200, 200, 200, 200, 18});
  MlpJacobian jacobian(network.mlp, GetDenseKernel("auto"), 10);
  const std::vector<float> x(10 * 24, 0.5F);
  jacobian.Evaluate(network.parameters, 10, x.data());
  EXPECT_EQ(testing::CountAllocations([&] { jacobian.Evaluate(network.parameters, 10, x.data()); }),
            0);
}

}  // namespace
}  // namespace foreplan

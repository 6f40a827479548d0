// Every instruction set's layers against the sums that they promise, term by term, and updates
// against gradients and steps of their own.
#include "foreplan/nets/training_layer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/size.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/nets/adam.h"
#include "foreplan/nets/hidden_layer.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {
namespace {

std::vector<float> Floats(size_t count, uint64_t stream) {
  Random random(Key{11, stream});
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(0.5 * random.Normal());
  return values;
}

std::vector<const TrainingLayerKernel*> EveryKernel() {
  std::vector<const TrainingLayerKernel*> kernels;
  for (const TrainingLayerKernel* kernel : {TrainingLayerAvx2(), TrainingLayerAvx512()}) {
    if (kernel != nullptr) kernels.push_back(kernel);
  }
  return kernels;
}

struct Shape {
  int rows, inputs, outputs;
};
// Sizes that are, and are not, multiples of blocks and vectors; rows that are transposed, and
// weights.
const std::vector<Shape> kShapes = {{1, 6, 8},    {3, 1, 1},    {16, 50, 97}, {33, 23, 34},
                                    {100, 17, 2}, {7, 130, 64}, {40, 200, 8}, {5, 9, 49}};

class EveryTrainingLayer : public ::testing::TestWithParam<const TrainingLayerKernel*> {
 protected:
  [[nodiscard]] static const TrainingLayerKernel& layers() { return *GetParam(); }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryTrainingLayer);
INSTANTIATE_TEST_SUITE_P(Kernels, EveryTrainingLayer, ::testing::ValuesIn(EveryKernel()),
                         [](const auto& info) { return std::string(info.param->name); });

// sum[i, j] of a(i, k) b(k, j), from the first term to the last.
template <typename A, typename B>
std::vector<float> Sums(int rows, int columns, int terms, const A& a, const B& b) {
  std::vector<float> sums;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      float sum = 0;
      for (int k = 0; k < terms; ++k) sum = std::fma(a(i, k), b(k, j), sum);
      sums.push_back(sum);
    }
  }
  return sums;
}

TEST_P(EveryTrainingLayer, ProductsAreSumsFromTheFirstTermToTheLast) {
  for (const auto [rows, inputs, outputs] : kShapes) {
    SCOPED_TRACE(::testing::Message() << rows << " rows, " << inputs << " x " << outputs);
    const std::vector<float> x = Floats(Size(rows, inputs), 1);
    const std::vector<float> w = Floats(Size(inputs, outputs), 2);
    const std::vector<float> bias = Floats(Size(outputs), 3);
    const std::vector<float> dz = Floats(Size(rows, outputs), 4);
    const std::vector<float> slope = Floats(Size(rows, inputs), 5);
    const auto in = [width = inputs](const auto& m, int i, int j) {
      return m[Size(i * width + j)];
    };
    const auto out = [width = outputs](const auto& m, int i, int j) {
      return m[Size(i * width + j)];
    };
    std::vector<float> scratch(TrainingLayerKernel::ScratchFloats(inputs, outputs));

    std::vector<float> y(dz.size());
    layers().forward(LayerFunction::kIdentity, rows, inputs, outputs, x.data(), w.data(),
                     bias.data(), y.data(), nullptr);
    std::vector<float> expected = Sums(
        rows, outputs, inputs, [&](int i, int k) { return in(x, i, k); },
        [&](int k, int j) { return out(w, k, j); });
    for (size_t i = 0; i < y.size(); ++i) expected[i] += bias[i % bias.size()];
    EXPECT_EQ(y, expected);

    expected = Sums(
        rows, inputs, outputs, [&](int i, int k) { return out(dz, i, k); },
        [&](int k, int j) { return out(w, j, k); });
    std::vector<float> dx(x.size());
    layers().backward_input(rows, inputs, outputs, dz.data(), w.data(), nullptr, scratch.data(),
                            dx.data());
    EXPECT_EQ(dx, expected);
    layers().backward_input(rows, inputs, outputs, dz.data(), w.data(), slope.data(),
                            scratch.data(), dx.data());
    for (size_t i = 0; i < dx.size(); ++i) expected[i] *= slope[i];
    EXPECT_EQ(dx, expected);

    std::vector<float> d_weights(w.size());
    std::vector<float> d_bias(bias.size());
    layers().backward_weight(rows, inputs, outputs, x.data(), dz.data(), d_weights.data(),
                             d_bias.data());
    EXPECT_EQ(d_weights, Sums(
                             inputs, outputs, rows, [&](int i, int k) { return in(x, k, i); },
                             [&](int k, int j) { return out(dz, k, j); }));
    EXPECT_EQ(d_bias, Sums(
                          1, outputs, rows, [](int, int) { return 1.0F; },
                          [&](int k, int j) { return out(dz, k, j); }));
  }
}

TEST_P(EveryTrainingLayer, AnUpdateIsAStepWithTheGradient) {
  for (const auto [rows, inputs, outputs] : kShapes) {
    SCOPED_TRACE(::testing::Message() << rows << " rows, " << inputs << " x " << outputs);
    const size_t weights = Size(inputs, outputs);
    const std::vector<float> x = Floats(Size(rows, inputs), 1);
    const std::vector<float> dz = Floats(Size(rows, outputs), 2);
    std::vector<float> p = Floats(weights + Size(outputs), 3);
    std::vector<float> m = Floats(p.size(), 4);
    std::vector<float> v(p.size(), 0.01F);
    std::vector<float> gradient(p.size());
    layers().backward_weight(rows, inputs, outputs, x.data(), dz.data(), gradient.data(),
                             gradient.data() + weights);
    std::vector<float> p_once = p;
    std::vector<float> m_once = m;
    std::vector<float> v_once = v;
    std::vector<float> scratch(TrainingLayerKernel::ScratchFloats(inputs, outputs));
    AdamCoefficients adam = CoefficientsOf({.learning_rate = 0.1}, 3);
    adam.weight_decay = 0.5F;
    layers().update(rows, inputs, outputs, x.data(), dz.data(), adam,
                    {p_once.data(), m_once.data(), v_once.data()}, scratch.data());
    const int count = static_cast<int>(weights);
    layers().step(adam, {p.data(), m.data(), v.data()}, 0, count, gradient.data());
    adam.weight_decay = 0;  // biases have none
    layers().step(adam, {p.data(), m.data(), v.data()}, count, outputs, gradient.data() + weights);
    EXPECT_EQ(p_once, p);
    EXPECT_EQ(m_once, m);
    EXPECT_EQ(v_once, v);
  }
}

TEST_P(EveryTrainingLayer, FunctionsAndSlopesAreThoseOfEveryProcessor) {
  std::vector<float> z;
  for (float value = -100; value < 100; value += 0.37F) z.push_back(value);
  for (const float value : {0.0F, -0.0F, 1e-30F, -1e-30F}) z.push_back(value);
  const int columns = static_cast<int>(z.size());
  const float one = 1;
  const std::vector<float> bias(z.size());
  const std::pair<LayerFunction, Activation> functions[] = {
      {LayerFunction::kSwish, Activation::kSwish},
      {LayerFunction::kRelu, Activation::kRelu},
      {LayerFunction::kElu, Activation::kElu}};
  for (const auto& [function, activation] : functions) {
    std::vector<float> y(z.size());
    std::vector<float> slope(z.size());
    layers().forward(function, 1, 1, columns, &one, z.data(), bias.data(), y.data(), slope.data());
    std::vector<float> y_expected = z;
    std::vector<float> slope_expected(z.size());
    ActivateHidden({.activation = activation}, 1, columns, bias.data(), y_expected.data(),
                   {.slope = slope_expected.data()});
    for (size_t i = 0; i < z.size(); ++i) {
      // The same operations, which another file may fuse in other pairs.
      EXPECT_NEAR(y[i], y_expected[i], 4e-7F * (1 + std::abs(z[i]))) << z[i];
      EXPECT_NEAR(slope[i], slope_expected[i], 1e-6F) << z[i];
    }
    const float nan = std::numeric_limits<float>::quiet_NaN();
    float y_of_nan = 0;
    layers().forward(function, 1, 1, 1, &nan, &one, bias.data(), &y_of_nan, nullptr);
    EXPECT_TRUE(std::isnan(y_of_nan));
  }
}

TEST_P(EveryTrainingLayer, NormsAndTheirGradientsAreThoseOfEveryProcessor) {
  for (const int columns : {1, 7, 16, 35, 96}) {
    const int rows = 3;
    const MlpOptions options{
        .activation = Activation::kRelu, .layer_norm = true, .norm_epsilon = 0.1};
    std::vector<float> expected = Floats(Size(rows, columns), 1);
    for (float& value : expected) value = std::abs(value);  // relu leaves them
    std::vector<float> x = expected;
    std::vector<float> d_expected = Floats(x.size(), 2);
    std::vector<float> d = d_expected;
    std::vector<float> unused(x.size());
    const std::vector<float> slope = Floats(x.size(), 3);
    std::vector<float> inverse_expected(Size(rows));
    std::vector<float> inverse(Size(rows));
    const std::vector<float> bias(Size(columns));
    ActivateHidden(options, rows, columns, bias.data(), expected.data(),
                   {unused.data(), inverse_expected.data()});
    layers().norm_rows(0.1F, rows, columns, x.data(), inverse.data());
    std::vector<float> slope_given = slope;
    PullBackHidden(options, rows, 1, columns, expected.data(),
                   {slope_given.data(), inverse_expected.data()}, d_expected.data());
    layers().pull_back_norm(rows, columns, x.data(), inverse.data(), slope.data(), d.data());
    for (size_t i = 0; i < x.size(); ++i) {
      // Sums of up to 96 floats in other orders.
      EXPECT_NEAR(x[i], expected[i], 2e-6) << columns;
      EXPECT_NEAR(d[i], d_expected[i], 2e-6) << columns;
    }
  }
}

std::vector<std::pair<int, std::string>> RowsAndKernels() {
  std::vector<std::pair<int, std::string>> all;
  for (const int rows : {8, 20, 400}) {
    for (const std::string& kernel : DenseKernelNames()) all.emplace_back(rows, kernel);
  }
  return all;
}

TEST(MlpUpdate, HasTheBitsOfAdamWithTheGradientAndAllocatesNothing) {
  const Mlp mlp({5, 40, 30, 1}, {.layer_norm = true});
  for (const std::vector<double>& decays : {std::vector<double>{0, 0, 0}, {0.5, 0, 0.25}}) {
    for (const auto& [rows, kernel] : RowsAndKernels()) {
      MlpGradient network(mlp, GetDenseKernel(kernel), rows);
      const std::vector<float> x = Floats(Size(rows, 5), 1);
      const std::vector<float> d_y = Floats(Size(rows), 2);
      std::vector<float> p = Floats(Size(mlp.parameters()), 3);
      std::vector<float> m(p.size());
      std::vector<float> v(p.size());
      std::vector<float> p_once = p;
      std::vector<float> m_once = m;
      std::vector<float> v_once = v;
      std::vector<float> gradient(p.size());
      std::vector<float> d_x(x.size());
      std::vector<float> d_x_once(x.size());
      for (int step = 1; step <= 2; ++step) {
        network.Forward(p, rows, x.data());
        network.Backward(p, d_y.data(), gradient, d_x.data());
        for (int layer = 0; layer < mlp.layers(); ++layer) {
          const auto decay = static_cast<float>(decays[Size(layer)]);
          for (int i = mlp.weight_offset(layer); decay != 0 && i < mlp.bias_offset(layer); ++i) {
            gradient[Size(i)] = std::fma(decay, p[Size(i)], gradient[Size(i)]);
          }
        }
        AdamStep({}, step, gradient, m, v, p);
        const AdamUpdate adam{.options = {},
                              .step = step,
                              .first_moment = m_once,
                              .second_moment = v_once,
                              .weight_decay = decays};
        EXPECT_EQ(testing::CountAllocations([&] {
                    network.Forward(p_once, rows, x.data());
                    network.Update(p_once, d_y.data(), adam, d_x_once.data());
                  }),
                  0);
        EXPECT_EQ(d_x_once, d_x) << kernel << ", " << rows << " rows";
      }
      if (decays.front() == 0) {
        EXPECT_EQ(p_once, p) << kernel << ", " << rows << " rows";
        EXPECT_EQ(m_once, m) << kernel << ", " << rows << " rows";
        EXPECT_EQ(v_once, v) << kernel << ", " << rows << " rows";
      }
      // A decay may be added in one rounding or in two.
      for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p_once[i], p[i], 1e-6) << kernel;
    }
  }
}

}  // namespace
}  // namespace foreplan

// Every layer and loss against an independent forward pass in double and its central differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/nets/activation.h"
#include "foreplan/nets/adam.h"
#include "foreplan/nets/dense_kernel.h"
#include "foreplan/nets/losses.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {
namespace {

std::vector<float> RandomFloats(size_t count, uint64_t stream, double scale = 1.0) {
  Random random(Key{7, stream});
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(scale * random.Normal());
  return values;
}

double Swish(double z) { return z / (1.0 + std::exp(-z)); }

// Plain double evaluation of the network, row by row.
std::vector<double> Evaluate(const Mlp& mlp, const std::vector<double>& parameters, int rows,
                             const std::vector<double>& x) {
  std::vector<double> result;
  for (int row = 0; row < rows; ++row) {
    std::vector<double> layer_input(x.begin() + row * mlp.inputs(),
                                    x.begin() + (row + 1) * mlp.inputs());
    for (int layer = 0; layer < mlp.layers(); ++layer) {
      std::vector<double> y(static_cast<size_t>(mlp.layer_outputs(layer)));
      for (size_t o = 0; o < y.size(); ++o) {
        y[o] = parameters[static_cast<size_t>(mlp.bias_offset(layer)) + o];
        for (size_t i = 0; i < layer_input.size(); ++i) {
          y[o] += layer_input[i] *
                  parameters[static_cast<size_t>(mlp.weight_offset(layer)) + i * y.size() + o];
        }
        if (layer + 1 < mlp.layers()) y[o] = Swish(y[o]);
      }
      layer_input = y;
    }
    result.insert(result.end(), layer_input.begin(), layer_input.end());
  }
  return result;
}

// The loss of losses.h in double, with logarithms as in the paper.
double Nll(int rows, int dim, const std::vector<double>& output, const std::vector<double>& target,
           const std::vector<double>& max, const std::vector<double>& min, double penalty) {
  const auto softplus = [](double x) { return x > 30 ? x : std::log1p(std::exp(x)); };
  double sum = 0;
  for (int row = 0; row < rows; ++row) {
    for (int i = 0; i < dim; ++i) {
      const auto at = static_cast<size_t>(row * 2 * dim + i);
      const auto k = static_cast<size_t>(i);
      const double lv1 = max[k] - softplus(max[k] - output[at + static_cast<size_t>(dim)]);
      const double lv = min[k] + softplus(lv1 - min[k]);
      const double error = output[at] - target[static_cast<size_t>(row * dim + i)];
      sum += error * error * std::exp(-lv) + lv;
    }
  }
  double bounds = 0;
  for (size_t k = 0; k < max.size(); ++k) bounds += max[k] - min[k];
  return sum / (rows * dim) + penalty * bounds;
}

std::vector<double> Doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

// d f / d x[i] by central differences; h = 1e-5 leaves errors of about 1e-9 in double.
double Difference(std::vector<double>& x, size_t i, const std::function<double()>& f) {
  const double kept = x[i];
  const double h = 1e-5;
  x[i] = kept + h;
  const double above = f();
  x[i] = kept - h;
  const double below = f();
  x[i] = kept;
  return (above - below) / (2 * h);
}

class EveryKernel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Kernels, EveryKernel, testing::ValuesIn(DenseKernelNames()));

TEST_P(EveryKernel, ForwardEqualsDoublePrecisionReference) {
  const Mlp mlp({6, 33, 50, 7});
  const std::vector<float> parameters = RandomFloats(static_cast<size_t>(mlp.parameters()), 1, 0.3);
  const int rows = 37;
  const std::vector<float> x = RandomFloats(static_cast<size_t>(rows * mlp.inputs()), 2);
  MlpGradient network(mlp, GetDenseKernel(GetParam()), rows);
  const float* y = network.Forward(parameters, rows, x.data());
  const std::vector<double> expected = Evaluate(mlp, Doubles(parameters), rows, Doubles(x));
  for (size_t i = 0; i < expected.size(); ++i) {
    // Three layers of sums over at most 50 float products: about 50 units of 6e-8 each.
    EXPECT_NEAR(y[i], expected[i], 2e-5 * (1 + std::abs(expected[i])));
  }
}

TEST_P(EveryKernel, GradientOfGaussianNllEqualsDifferences) {
  const int dim = 3;
  const Mlp mlp({4, 9, 8, 2 * dim});
  const int rows = 5;
  const std::vector<float> parameters = RandomFloats(static_cast<size_t>(mlp.parameters()), 3, 0.5);
  const std::vector<float> x = RandomFloats(static_cast<size_t>(rows * mlp.inputs()), 4);
  const std::vector<float> target = RandomFloats(static_cast<size_t>(rows * dim), 5);
  const std::vector<float> max = {0.5F, 0.3F, -0.2F};
  const std::vector<float> min = {-1.0F, -3.0F, -10.0F};
  const double penalty = 0.01;

  MlpGradient network(mlp, GetDenseKernel(GetParam()), rows);
  const float* output = network.Forward(parameters, rows, x.data());
  std::vector<float> d_output(static_cast<size_t>(rows * 2 * dim));
  std::vector<float> d_max(dim);
  std::vector<float> d_min(dim);
  const double loss = GaussianNll(rows, dim, output, target.data(), {max.data(), min.data()},
                                  penalty, 0, d_output.data(), d_max.data(), d_min.data());
  std::vector<float> d_parameters(parameters.size());
  std::vector<float> d_x(x.size());
  network.Backward(parameters, d_output.data(), d_parameters, d_x.data());

  std::vector<double> p = Doubles(parameters);
  std::vector<double> x_double = Doubles(x);
  std::vector<double> max_double = Doubles(max);
  std::vector<double> min_double = Doubles(min);
  const auto reference = [&] {
    return Nll(rows, dim, Evaluate(mlp, p, rows, x_double), Doubles(target), max_double, min_double,
               penalty);
  };
  double bounds = 0;
  for (size_t k = 0; k < max.size(); ++k) bounds += max_double[k] - min_double[k];
  EXPECT_NEAR(loss, reference() - penalty * bounds, 1e-5);  // float forward pass
  // Gradients in float: relative 1e-4 of the largest entries, far above rounding, far below errors.
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(d_parameters[i], Difference(p, i, reference), 1e-4) << "parameter " << i;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(d_x[i], Difference(x_double, i, reference), 1e-4) << "input " << i;
  }
  for (size_t i = 0; i < max.size(); ++i) {
    EXPECT_NEAR(d_max[i], Difference(max_double, i, reference), 1e-4) << "max " << i;
    EXPECT_NEAR(d_min[i], Difference(min_double, i, reference), 1e-4) << "min " << i;
  }
}

TEST(GaussianNll, BetaMultipliesTheOutputsGradientByThePredictedVarianceToThatPower) {
  const int rows = 4;
  const int dim = 3;
  const std::vector<float> output = RandomFloats(static_cast<size_t>(rows * 2 * dim), 8);
  const std::vector<float> target = RandomFloats(static_cast<size_t>(rows * dim), 9);
  const std::vector<float> max = {0.5F, 0.3F, -0.2F};
  const std::vector<float> min = {-1.0F, -3.0F, -10.0F};
  struct Gradient {
    double loss = 0;
    std::vector<float> output = std::vector<float>(static_cast<size_t>(rows * 2 * dim));
    std::vector<float> max = std::vector<float>(dim);
    std::vector<float> min = std::vector<float>(dim);
  };
  const auto gradient = [&](double beta) {
    Gradient result;
    result.loss =
        GaussianNll(rows, dim, output.data(), target.data(), {max.data(), min.data()}, 0.01, beta,
                    result.output.data(), result.max.data(), result.min.data());
    return result;
  };
  const Gradient plain = gradient(0);
  const Gradient weighted = gradient(0.5);

  EXPECT_EQ(weighted.loss, plain.loss);
  EXPECT_EQ(weighted.max, plain.max);
  EXPECT_EQ(weighted.min, plain.min);
  std::vector<float> deviation(static_cast<size_t>(rows * dim));  // variance^0.5
  BoundedDeviation(rows, dim, output.data() + dim, 2 * dim, {max.data(), min.data()},
                   deviation.data());
  for (size_t i = 0; i < output.size(); ++i) {
    const size_t row = i / (2 * dim);
    const float expected = plain.output[i] * deviation[row * dim + i % dim];
    // Exponentials of 1e-6 relative.
    EXPECT_NEAR(weighted.output[i], expected, 1e-5 * std::abs(expected)) << i;
  }
}

TEST(SquaredError, GradientEqualsDifferences) {
  const int rows = 4;
  const int dim = 3;
  const std::vector<float> mean = RandomFloats(12, 6);
  const std::vector<float> target = RandomFloats(12, 7);
  std::vector<float> d_mean(12);
  const double loss = SquaredError(rows, dim, mean.data(), target.data(), d_mean.data());
  std::vector<double> mean_double = Doubles(mean);
  const auto reference = [&] {
    double sum = 0;
    for (size_t i = 0; i < 12; ++i) sum += std::pow(mean_double[i] - target[i], 2);
    return sum / 12;
  };
  EXPECT_NEAR(loss, reference(), 1e-6);  // float rounding
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_NEAR(d_mean[i], Difference(mean_double, i, reference), 1e-6);
  }
}

TEST(BoundedDeviation, EqualsSoftplusBoundsWithLogarithms) {
  const std::vector<float> max = {0.5F};
  const std::vector<float> min = {-10.0F};
  for (float raw = -30; raw < 30; raw += 0.7F) {
    float deviation = 0;
    BoundedDeviation(1, 1, &raw, 1, {max.data(), min.data()}, &deviation);
    const double lv1 = 0.5 - std::log1p(std::exp(0.5 - raw));
    const double lv = -10.0 + std::log1p(std::exp(lv1 + 10.0));
    // Two float exponentials and a division.
    EXPECT_NEAR(deviation, std::exp(lv / 2), 1e-5 * std::exp(lv / 2)) << raw;
  }
}

TEST(FastExp, StaysWithinTwoUnitsInTheLastPlace) {
  for (double x = -86.9; x < 88; x += 0.00917) {
    const auto input = static_cast<float>(x);
    const double expected = std::exp(static_cast<double>(input));
    EXPECT_NEAR(FastExp(input), expected, 2.5e-7 * expected) << x;
  }
}

TEST(FastExp, KeepsNanAndSaturates) {
  EXPECT_TRUE(std::isnan(FastExp(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_LT(FastExp(-1e30F), 1e-37F);
  EXPECT_GT(FastExp(1e30F), 1e38F);
}

TEST(Swish, EqualsDoublePrecisionAndItsSlopeEqualsDifferences) {
  std::vector<float> y;
  for (float z = -40; z < 40; z += 0.37F) y.push_back(z);
  const std::vector<float> z = y;
  const std::vector<float> bias(y.size(), 0.25F);
  std::vector<float> slope(y.size());
  AddBiasSwish(1, static_cast<int>(y.size()), bias.data(), y.data(), slope.data());
  for (size_t i = 0; i < y.size(); ++i) {
    const double at = z[i] + 0.25;
    EXPECT_NEAR(y[i], Swish(at), 1e-6 * (1 + std::abs(at)));  // float rounding
    EXPECT_NEAR(slope[i], (Swish(at + 1e-5) - Swish(at - 1e-5)) / 2e-5, 2e-6) << at;
  }
}

TEST(Adam, FollowsThePublishedRecursionInDouble) {
  const AdamOptions options{.learning_rate = 0.01};
  std::vector<float> p = {1.0F, -2.0F};
  std::vector<float> m(2);
  std::vector<float> v(2);
  double p_reference[2] = {1.0, -2.0};
  double m_reference[2] = {0, 0};
  double v_reference[2] = {0, 0};
  for (int step = 1; step <= 50; ++step) {
    const std::vector<float> g = RandomFloats(2, static_cast<uint64_t>(step) + 100);
    AdamStep(options, step, g, m, v, p);
    for (int i = 0; i < 2; ++i) {
      const double gradient = g[static_cast<size_t>(i)];
      m_reference[i] = 0.9 * m_reference[i] + 0.1 * gradient;
      v_reference[i] = 0.999 * v_reference[i] + 0.001 * gradient * gradient;
      const double m_hat = m_reference[i] / (1 - std::pow(0.9, step));
      const double v_hat = v_reference[i] / (1 - std::pow(0.999, step));
      p_reference[i] -= 0.01 * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
  // 50 float updates of size 0.01.
  EXPECT_NEAR(p[0], p_reference[0], 2e-6);
  EXPECT_NEAR(p[1], p_reference[1], 2e-6);
}

TEST(Mlp, InitialisesWithinTwoDeviationsAndByKey) {
  const Mlp mlp({16, 100, 4});
  std::vector<float> a(static_cast<size_t>(mlp.parameters()));
  std::vector<float> b = a;
  mlp.Initialise(Key{1, 2}, a);
  mlp.Initialise(Key{1, 2}, b);
  EXPECT_EQ(a, b);
  mlp.Initialise(Key{1, 3}, b);
  EXPECT_NE(a, b);
  for (int i = 0; i < 1600; ++i) {
    EXPECT_LE(std::abs(a[static_cast<size_t>(i)]), 2 * 0.5F / 4.0F);  // 2 sigma, sigma = 1/(2*4)
  }
  // Of a normal cut at two deviations there remains 0.88 of the deviation: 1 / (2 sqrt(inputs))
  // before it. 1,600 and 400 numbers: four times 1 / sqrt(2 n).
  for (const auto& [layer, inputs] : {std::pair{0, 16}, {1, 100}}) {
    double squares = 0;
    const int count = mlp.bias_offset(layer) - mlp.weight_offset(layer);
    for (int i = mlp.weight_offset(layer); i < mlp.bias_offset(layer); ++i) {
      squares += a[static_cast<size_t>(i)] * a[static_cast<size_t>(i)] / count;
    }
    const double expected = 0.88 * 0.5 / std::sqrt(inputs);
    EXPECT_NEAR(std::sqrt(squares), expected, 4 * expected / std::sqrt(2.0 * count)) << layer;
  }
  for (int i = mlp.bias_offset(0); i < mlp.weight_offset(1); ++i) {
    EXPECT_EQ(a[static_cast<size_t>(i)], 0.0F);
  }
}

// The OpenMP runtime of this process, where there is one; our own code uses none.
extern "C" {
int omp_get_max_threads() __attribute__((weak));
void omp_set_num_threads(int) __attribute__((weak));
}

TEST_P(EveryKernel, LeavesTheCallersOpenMpThreadsAsTheyWere) {
  if (omp_get_max_threads == nullptr) GTEST_SKIP() << "no OpenMP in this build";
  const int before = omp_get_max_threads();
  omp_set_num_threads(3);
  const std::vector<float> ones(4, 1.0F);
  std::vector<float> result(4);
  const DenseKernel& kernel = GetDenseKernel(GetParam());
  kernel.Forward(2, 2, 2, ones.data(), ones.data(), result.data());
  EXPECT_EQ(omp_get_max_threads(), 3);
  EXPECT_EQ(result, std::vector<float>(4, 2.0F));
  omp_set_num_threads(before);
}

TEST(DenseKernel, UnknownNameIsTheUsersError) {
  EXPECT_THROW(GetDenseKernel("oneddn"), InputError);
}

}  // namespace
}  // namespace foreplan

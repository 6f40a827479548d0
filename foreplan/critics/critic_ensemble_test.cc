#include "foreplan/critics/critic_ensemble.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/size.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/critics/testing/small_world.h"
#include "foreplan/nets/adam.h"
#include "foreplan/nets/testing/evaluate_in_double.h"

namespace foreplan {
namespace {

using testing::FloatsOf;
using testing::Rewrite;

constexpr int kRows = 9;
constexpr int kInputs = 5;  // three of the observation, two of the action

CriticOptions SmallOptions() {
  return {.critics = 3,
          .hidden_layers = 2,
          .width = 8,
          .learning_rate = 1e-2,
          .target_rate = 0.25,
          .kernel = "eigen"};
}

CriticEnsemble MakeCritics(const CriticOptions& options = SmallOptions(), int threads = 1) {
  return {kInputs - 2, 2, options, kRows, Key{1, 0}, std::make_shared<ThreadPool>(threads)};
}

void Scatter(CriticEnsemble& critics) {
  Random random(Key{2, 0});
  for (int k = 0; k < critics.critics(); ++k) {
    for (float& parameter : critics.parameters(k)) {
      parameter = static_cast<float>(0.5 * random.Normal());
    }
  }
}

struct Batch {
  explicit Batch(uint64_t stream = 0) : x(Size(kRows, kInputs)), y(kRows) {
    Random random(Key{3, stream});
    for (float& value : x) value = static_cast<float>(random.Normal());
    for (double& value : y) value = 2 * random.Normal();
  }
  std::vector<float> x;
  std::vector<double> y;
};

std::vector<float> ParametersOf(const CriticEnsemble& critics) {
  std::vector<float> all;
  for (int k = 0; k < critics.critics(); ++k) {
    all.insert(all.end(), critics.parameters(k).begin(), critics.parameters(k).end());
  }
  return all;
}

std::vector<float> TargetsOf(const CriticEnsemble& critics) {
  std::vector<float> all;
  for (int k = 0; k < critics.critics(); ++k) {
    const std::span<const float> of_one = critics.target_parameters(k);
    all.insert(all.end(), of_one.begin(), of_one.end());
  }
  return all;
}

std::string BytesOf(const CriticEnsemble& critics) {
  TensorFile file;
  critics.Save("c.", file);
  return SerializeTensors(file, "critics");
}

TEST(ValueBounds, AreQuantilesOfRewardsOverOneMinusGamma) {
  for (const int count : {1, 2, 3, 100, 101, 1280}) {
    Random random(Key{4, static_cast<uint64_t>(count)});
    std::vector<double> rewards(Size(count));
    for (double& reward : rewards) reward = random.Normal();
    std::vector<double> sorted = rewards;
    std::ranges::sort(sorted);
    const auto quantile = [&](double share) {
      const double place = share * (count - 1);
      const auto below = static_cast<size_t>(place);
      const size_t above = std::min(below + 1, sorted.size() - 1);
      return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
    };
    ValueBounds bounds;
    bounds.Observe(rewards, 0.9, 0.5);
    EXPECT_NEAR(bounds.low, quantile(0.01) / 0.1, 1e-12);
    EXPECT_NEAR(bounds.high, quantile(0.99) / 0.1, 1e-12);
    EXPECT_TRUE(bounds.known);
  }
}

TEST(ValueBounds, HoldNothingWhereSomeRolloutsEnded) {
  std::vector<double> rewards = {1, 1, 2, 2};
  ValueBounds bounds;
  bounds.Observe(rewards, 0.5, 0.25, true);
  EXPECT_EQ(bounds.low, 0);
  EXPECT_NEAR(bounds.high, 4, 1e-12);
  std::vector<double> costs = {-2, -2, -1, -1};
  ValueBounds of_costs;
  of_costs.Observe(costs, 0.5, 0.25, true);
  EXPECT_NEAR(of_costs.low, -4, 1e-12);
  EXPECT_EQ(of_costs.high, 0);
  // And go on from there by their rate.
  of_costs.Observe(rewards, 0.5, 0.25, false);
  EXPECT_NEAR(of_costs.low, 0.75 * -4 + 0.25 * 2, 1e-12);
  EXPECT_NEAR(of_costs.high, 0.25 * 4, 1e-12);
}

TEST(ValueBounds, MoveOnByTheirRate) {
  ValueBounds bounds;
  EXPECT_EQ(bounds.middle(), 0);
  EXPECT_EQ(bounds.half_range(), 1);
  EXPECT_EQ(bounds.Clamp(1e9), 1e9);
  std::vector<double> none;
  bounds.Observe(none, 0.5, 0.1);
  EXPECT_FALSE(bounds.known);
  std::vector<double> first = {-1, -1, 3, 3};
  bounds.Observe(first, 0.5, 0.25);  // all of it, as nothing was known
  EXPECT_NEAR(bounds.low, -2, 1e-12);
  EXPECT_NEAR(bounds.high, 6, 1e-12);
  std::vector<double> second = {1, 1, 5, 5};
  bounds.Observe(second, 0.5, 0.25);
  EXPECT_NEAR(bounds.low, 0.75 * -2 + 0.25 * 2, 1e-12);
  EXPECT_NEAR(bounds.high, 0.75 * 6 + 0.25 * 10, 1e-12);
  EXPECT_NEAR(bounds.middle(), 0.5 * (bounds.low + bounds.high), 1e-12);
  EXPECT_NEAR(bounds.half_range(), 0.5 * (bounds.high - bounds.low), 1e-12);
  EXPECT_EQ(bounds.Clamp(-5), bounds.low);
  EXPECT_EQ(bounds.Clamp(0.5), 0.5);
  EXPECT_EQ(bounds.Clamp(70), bounds.high);
}

TEST(CriticEnsemble, BeginsInTheMiddleOfTheBounds) {
  CriticEnsemble critics = MakeCritics();
  std::vector<double> rewards = {-1, 3};
  critics.Observe(rewards, 0.5);
  const Batch batch;
  std::vector<double> values(kRows);
  critics.Evaluate(kRows, batch.x.data(), values);
  for (const double value : values) EXPECT_EQ(value, critics.bounds().middle());
  EXPECT_EQ(TargetsOf(critics), ParametersOf(critics));
  EXPECT_FALSE(std::ranges::equal(std::as_const(critics).parameters(0),
                                  std::as_const(critics).parameters(1)));
  CriticOptions unbounded = SmallOptions();
  unbounded.bounded = false;
  CriticEnsemble without = MakeCritics(unbounded);
  without.Observe(rewards, 0.5);
  EXPECT_FALSE(without.bounds().known);
}

/// Loss of one critic, in double, by its definition.
double LossInDouble(const CriticEnsemble& critics, const std::vector<double>& parameters,
                    const Batch& batch) {
  double sum = 0;
  for (size_t row = 0; row < kRows; ++row) {
    if (std::isnan(batch.y[row])) continue;
    std::vector<double> x(&batch.x[kInputs * row], &batch.x[kInputs * row] + kInputs);
    const double net = EvaluateInDouble(critics.mlp(), parameters, std::move(x))[0];
    const double q = critics.bounds().middle() + critics.bounds().half_range() * net;
    sum += std::pow(q - batch.y[row], 2) / kRows;
  }
  return sum;
}

TEST(CriticEnsemble, DescendsTheGradientOfItsLoss) {
  CriticEnsemble critics = MakeCritics();
  Scatter(critics);
  std::vector<double> rewards = {-1, 3};
  critics.Observe(rewards, 0.5);
  Batch batch;
  batch.y[4] = std::numeric_limits<double>::quiet_NaN();  // counts as 0
  double loss = 0;
  std::vector<double> gradient;
  for (int k = 0; k < critics.critics(); ++k) {
    std::vector<double> parameters(critics.parameters(k).begin(), critics.parameters(k).end());
    loss += LossInDouble(critics, parameters, batch) / critics.critics();
    for (double& parameter : parameters) {
      const double kept = parameter;
      const double h = 1e-5;
      parameter = kept + h;
      const double above = LossInDouble(critics, parameters, batch);
      parameter = kept - h;
      gradient.push_back((above - LossInDouble(critics, parameters, batch)) / (2 * h));
      parameter = kept;
    }
  }
  std::vector<double> values(kRows);
  critics.Evaluate(kRows, batch.x.data(), values);
  double value = 0;
  for (const double of_row : values) value += of_row / kRows;
  double norm = 0;
  for (const double entry : gradient) norm += entry * entry;
  norm = std::sqrt(norm);
  const CriticReport report = critics.TakeStep(kRows, batch.x.data(), batch.y.data());
  EXPECT_TRUE(report.valid);
  EXPECT_NEAR(report.loss, loss, 1e-5 * loss);  // networks are in float
  EXPECT_NEAR(report.value, value, 1e-5);
  EXPECT_NEAR(report.gradient_norm, norm, 1e-4 * norm);
  // Adam's first moment is a tenth of the gradient.
  TensorFile file;
  critics.Save("", file);
  const std::vector<float>& moment = FloatsOf(file, "first_moment");
  ASSERT_EQ(moment.size(), gradient.size());
  for (size_t i = 0; i < moment.size(); ++i) {
    EXPECT_NEAR(moment[i], 0.1 * gradient[i], 1e-5 * norm) << i;
  }
}

TEST(CriticEnsemble, StepsEqualAPlainLoopToTheBit) {
  CriticEnsemble critics = MakeCritics();
  Scatter(critics);
  std::vector<std::vector<float>> phi;
  std::vector<std::vector<float>> m;
  std::vector<std::vector<float>> v;
  for (int k = 0; k < 3; ++k) {
    phi.emplace_back(critics.parameters(k).begin(), critics.parameters(k).end());
    m.emplace_back(phi.back().size());
    v.emplace_back(phi.back().size());
  }
  MlpGradient network(critics.mlp(), critics.kernel(), kRows);
  for (int step = 1; step <= 20; ++step) {
    const Batch batch(static_cast<uint64_t>(step));
    critics.TakeStep(kRows, batch.x.data(), batch.y.data());
    for (size_t k = 0; k < 3; ++k) {
      std::vector<float> sum(phi[k].size());
      for (const auto& [first, end] : {std::pair(0, 4), std::pair(4, 9)}) {
        const float* output = network.Forward(phi[k], end - first, &batch.x[Size(first, kInputs)]);
        std::vector<float> d_output;
        for (int row = first; row < end; ++row) {
          const double error = static_cast<double>(output[row - first]) - batch.y[Size(row)];
          d_output.push_back(static_cast<float>(2 * error * 1.0 / kRows));
        }
        std::vector<float> part(sum.size());
        network.Backward(phi[k], d_output.data(), part);
        for (size_t i = 0; i < sum.size(); ++i) sum[i] = first == 0 ? part[i] : sum[i] + part[i];
      }
      AdamStep({.learning_rate = 1e-2}, step, sum, m[k], v[k], phi[k]);
    }
  }
  for (int k = 0; k < 3; ++k) {
    EXPECT_TRUE(std::ranges::equal(critics.parameters(k), phi[Size(k)])) << k;
  }
}

TEST(CriticEnsemble, TargetsFollowByTheirRate) {
  for (const double rate : {0.25, 1.0, 0.0}) {
    CriticOptions options = SmallOptions();
    options.target_rate = rate;
    CriticEnsemble critics = MakeCritics(options);
    Scatter(critics);
    std::vector<double> expected;
    for (const float target : TargetsOf(critics)) expected.push_back(target);
    const std::vector<float> first = TargetsOf(critics);
    for (uint64_t step = 0; step < 5; ++step) {
      const Batch batch(step);
      critics.TakeStep(kRows, batch.x.data(), batch.y.data());
      const std::vector<float> phi = ParametersOf(critics);
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] = (1 - rate) * expected[i] + rate * phi[i];
      }
    }
    const std::vector<float> found = TargetsOf(critics);
    if (rate == 1) {
      EXPECT_EQ(found, ParametersOf(critics));
    }
    if (rate == 0) {
      EXPECT_EQ(found, first);
    }
    // Parameters of a few units, rounded to float five times.
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-6);
  }
}

TEST(CriticEnsemble, TargetsOfConstantCriticsFollowGeometrically) {
  CriticOptions options = SmallOptions();
  options.learning_rate = 1e-8;  // parameters stay where they are, but for as much
  CriticEnsemble critics = MakeCritics(options);
  Scatter(critics);
  const std::vector<float> phi = ParametersOf(critics);
  const std::vector<float> first = TargetsOf(critics);
  const Batch batch;
  constexpr int kSteps = 8;
  for (int step = 0; step < kSteps; ++step) {
    critics.TakeStep(kRows, batch.x.data(), batch.y.data());
  }
  const double left = std::pow(0.75, kSteps);
  const std::vector<float> found = TargetsOf(critics);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], phi[i] + left * (first[i] - phi[i]), 2e-6);  // float
  }
}

TEST(CriticEnsemble, ForgettingMomentsLeavesNetworksAndTargets) {
  CriticEnsemble critics = MakeCritics();
  Scatter(critics);
  const Batch batch;
  critics.TakeStep(kRows, batch.x.data(), batch.y.data());
  const auto parameters = ParametersOf(critics);
  const auto targets = TargetsOf(critics);
  critics.ForgetMoments();
  EXPECT_EQ(ParametersOf(critics), parameters);
  EXPECT_EQ(TargetsOf(critics), targets);
  TensorFile file;
  critics.Save("", file);
  for (const float moment : FloatsOf(file, "second_moment")) EXPECT_EQ(moment, 0.0F);
}

TEST(CriticEnsemble, AGradientThatIsNotFiniteChangesNothing) {
  CriticEnsemble critics = MakeCritics();
  Scatter(critics);
  Batch batch;
  critics.TakeStep(kRows, batch.x.data(), batch.y.data());
  const std::string before = BytesOf(critics);
  batch.y[2] = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(critics.TakeStep(kRows, batch.x.data(), batch.y.data()).valid);
  EXPECT_EQ(BytesOf(critics), before);
}

TEST(CriticEnsemble, ARowWithoutATargetChangesNoBit) {
  std::vector<std::string> bytes;
  for (const float x : {0.0F, 5.0F}) {
    CriticEnsemble critics = MakeCritics();
    Scatter(critics);
    Batch batch;
    batch.y[3] = std::numeric_limits<double>::quiet_NaN();
    batch.x[3 * kInputs] = x;
    critics.TakeStep(kRows, batch.x.data(), batch.y.data());
    bytes.push_back(BytesOf(critics));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(CriticEnsemble, OneRowLeavesNoPartOfTheStepBefore) {
  for (const std::string& kernel : DenseKernelNames()) {
    CriticOptions options = SmallOptions();
    options.kernel = kernel;
    CriticEnsemble critics = MakeCritics(options);
    Scatter(critics);
    const std::vector<float> before = ParametersOf(critics);
    const Batch batch;
    critics.TakeStep(kRows, batch.x.data(), batch.y.data());
    Rewrite(critics, [&](TensorFile& file) { FloatsOf(file, "parameters") = before; });
    critics.ForgetMoments();
    critics.TakeStep(1, batch.x.data(), batch.y.data());
    CriticEnsemble fresh = MakeCritics(options);
    Scatter(fresh);
    fresh.TakeStep(1, batch.x.data(), batch.y.data());
    EXPECT_EQ(ParametersOf(critics), ParametersOf(fresh)) << kernel;
  }
}

TEST(CriticEnsemble, StaysTheSameFunctionInAnotherScale) {
  CriticOptions options = SmallOptions();
  options.target_rate = 1;
  CriticEnsemble critics = MakeCritics(options);
  Scatter(critics);
  Batch batch;
  critics.TakeStep(kRows, batch.x.data(), batch.y.data());  // targets are no longer 0
  Normaliser from(3);
  Normaliser to(3);
  from.mean = {0.5, -1, 0};
  from.scale = {2, 1, 0.5};
  to.mean = {0, 1, 2};
  to.scale = {1, 3, 0.7};
  std::vector<double> before(kRows);
  std::vector<double> after(kRows);
  critics.Evaluate(kRows, batch.x.data(), before);
  const auto target_at = [&](const float* x) {
    const std::span<const float> floats = critics.target_parameters(1);
    return EvaluateInDouble(critics.mlp(), {floats.begin(), floats.end()}, {x, x + kInputs})[0];
  };
  const double target = target_at(batch.x.data());
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t i = 0; i < 3; ++i) {
      float& x = batch.x[kInputs * row + i];
      const double feature = from.mean[i] + from.scale[i] * x;
      x = static_cast<float>((feature - to.mean[i]) / to.scale[i]);
    }
  }
  critics.Rescale(from, to);
  critics.Evaluate(kRows, batch.x.data(), after);
  for (size_t row = 0; row < kRows; ++row) {
    EXPECT_NEAR(after[row], before[row], 3e-6);  // values of a few units, x rounded again
  }
  EXPECT_NEAR(target_at(batch.x.data()), target, 3e-6);
}

TEST(CriticEnsemble, ThreadsChangeNoBitAndNothingIsAllocated) {
  std::vector<std::string> bytes;
  for (const int threads : {1, 2, 3}) {
    CriticEnsemble critics = MakeCritics(SmallOptions(), threads);
    Scatter(critics);
    std::vector<double> rewards = {-1, 3, 2};
    critics.Observe(rewards, 0.5);
    const Batch batch;
    critics.TakeStep(kRows, batch.x.data(), batch.y.data());
    EXPECT_EQ(testing::CountAllocations([&] {
                critics.Observe(rewards, 0.5);
                critics.TakeStep(kRows, batch.x.data(), batch.y.data());
              }),
              0);
    bytes.push_back(BytesOf(critics));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(bytes[0], bytes[2]);
}

TEST(CriticEnsemble, GoesOnToTheBitFromAFile) {
  CriticEnsemble critics = MakeCritics();
  Scatter(critics);
  std::vector<double> rewards = {-1, 3, 2};
  critics.Observe(rewards, 0.5);
  const Batch batch;
  critics.TakeStep(kRows, batch.x.data(), batch.y.data());
  TensorFile file;
  critics.Save("c.", file);
  CriticEnsemble restored = MakeCritics();
  restored.Restore("c.", file);
  for (CriticEnsemble* one : {&critics, &restored}) {
    one->Observe(rewards, 0.5);
    one->TakeStep(kRows, batch.x.data(), batch.y.data());
  }
  EXPECT_EQ(BytesOf(restored), BytesOf(critics));
}

TEST(CriticEnsemble, ABadFileIsNamedAndChangesNothing) {
  CriticEnsemble critics = MakeCritics();
  Scatter(critics);
  const std::string before = BytesOf(critics);
  TensorFile good;
  critics.Save("c.", good);
  good.source = "state.safetensors";
  const auto expect = [&](const std::string& tensor, const auto& spoil) {
    TensorFile file = good;
    spoil(file.tensors[tensor]);
    const std::string text = MessageOf([&] { critics.Restore("c.", file); });
    EXPECT_NE(text.find("state.safetensors"), std::string::npos) << text;
    EXPECT_NE(text.find(tensor), std::string::npos) << text;
    EXPECT_EQ(BytesOf(critics), before);
  };
  const auto spoil_float = [](Tensor& t) {
    std::get<std::vector<float>>(t.values)[1] = std::numeric_limits<float>::quiet_NaN();
  };
  expect("c.parameters", spoil_float);
  expect("c.parameters", [](Tensor& t) { t.shape = {1, 2}; });
  expect("c.targets", spoil_float);
  expect("c.first_moment", spoil_float);
  expect("c.bounds", [](Tensor& t) { t.values = std::vector<double>{2, 1, 1}; });
  expect("c.bounds", [](Tensor& t) { t.values = std::vector<double>{std::nan(""), 1, 1}; });
  expect("c.bounds", [](Tensor& t) { t.values = std::vector<double>{-1, 1, 0.5}; });
}

TEST(CriticEnsemble, NamesOptionsOutOfRange) {
  const auto expect = [](const std::string& name, const auto& spoil) {
    CriticOptions options = SmallOptions();
    spoil(options);
    const std::string text = MessageOf([&] { MakeCritics(options); });
    EXPECT_NE(text.find("actor_critic.critic." + name), std::string::npos) << text;
  };
  expect("critics", [](CriticOptions& o) { o.critics = 0; });
  expect("hidden_layers", [](CriticOptions& o) { o.hidden_layers = 9; });
  expect("width", [](CriticOptions& o) { o.width = 5000; });
  expect("learning_rate", [](CriticOptions& o) { o.learning_rate = 0; });
  expect("target_rate", [](CriticOptions& o) { o.target_rate = 1.5; });
  expect("bounds_rate", [](CriticOptions& o) { o.bounds_rate = -1; });
  expect("kernel", [](CriticOptions& o) { o.kernel = "blas"; });
}

}  // namespace
}  // namespace foreplan

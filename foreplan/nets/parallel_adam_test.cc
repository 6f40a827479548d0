#include "foreplan/nets/parallel_adam.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"

namespace foreplan {
namespace {

constexpr int kParameters = 20000;  // several pieces, the last not full
constexpr int kParts = 3;
constexpr AdamOptions kOptions = {.learning_rate = 1e-2};

std::vector<float> Normals(uint64_t stream, int count) {
  Random random(Key{1, stream});
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

void FillParts(ParallelAdam& adam, int step) {
  for (int part = 0; part < kParts; ++part) {
    std::ranges::copy(Normals(static_cast<uint64_t>(10 * step + part), kParameters),
                      adam.part(part).begin());
  }
}

ParallelAdam MakeAdam(int threads = 1) {
  return {kParameters, kParts, kOptions, std::make_shared<ThreadPool>(threads)};
}

TEST(ParallelAdam, EqualsAdamOnTheSumToTheBitOnAnyNumberOfThreads) {
  std::vector<float> expected = Normals(0, kParameters);
  std::vector<float> m(expected.size());
  std::vector<float> v(expected.size());
  std::vector<double> norms;
  for (int step = 1; step <= 3; ++step) {
    std::vector<float> sum = Normals(static_cast<uint64_t>(10 * step), kParameters);
    double squares = 0;
    for (int part = 1; part < kParts; ++part) {
      const auto more = Normals(static_cast<uint64_t>(10 * step + part), kParameters);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
    }
    for (float& entry : sum) {
      entry *= -0.5F;
      squares += static_cast<double>(entry) * entry;
    }
    norms.push_back(std::sqrt(squares));
    AdamStep(kOptions, step, sum, m, v, expected);
  }
  for (const int threads : {1, 2, 3}) {
    ParallelAdam adam = MakeAdam(threads);
    std::vector<float> parameters = Normals(0, kParameters);
    for (int step = 1; step <= 3; ++step) {
      FillParts(adam, step);
      // Sums of 2e4 squares, in another order.
      EXPECT_NEAR(adam.Sum(-0.5F), norms[static_cast<size_t>(step - 1)], 1e-9);
      adam.Descend(parameters);
    }
    EXPECT_EQ(parameters, expected);
    EXPECT_EQ(adam.steps(), 3);
  }
}

TEST(ParallelAdam, WhatFollowsADescentSeesEveryParameterOnceAndMoved) {
  ParallelAdam adam = MakeAdam(2);
  std::vector<float> parameters(kParameters, 0.0F);
  std::vector<int> seen(kParameters);
  std::vector<float> copy(kParameters);
  FillParts(adam, 1);
  adam.Sum();
  adam.Descend(parameters, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      ++seen[i];
      copy[i] = parameters[i];
    }
  });
  EXPECT_EQ(seen, std::vector<int>(kParameters, 1));
  EXPECT_EQ(copy, parameters);
}

TEST(ParallelAdam, ANumberThatIsNotFiniteShowsInTheNorm) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    for (const size_t place : {0, 9000, kParameters - 1}) {
      ParallelAdam adam = MakeAdam();
      FillParts(adam, 1);
      adam.part(kParts - 1)[place] = bad;
      EXPECT_FALSE(std::isfinite(adam.Sum()));
    }
  }
}

TEST(ParallelAdam, ForgettingBeginsAnew) {
  ParallelAdam used = MakeAdam();
  ParallelAdam fresh = MakeAdam();
  std::vector<float> of_used(kParameters, 0.0F);
  std::vector<float> of_fresh(kParameters, 0.0F);
  FillParts(used, 1);
  used.Sum();
  used.Descend(of_used);
  used.Forget();
  EXPECT_EQ(used.steps(), 0);
  std::ranges::fill(of_used, 0.0F);
  for (auto* adam : {&used, &fresh}) {
    FillParts(*adam, 2);
    adam->Sum();
  }
  used.Descend(of_used);
  fresh.Descend(of_fresh);
  EXPECT_EQ(of_used, of_fresh);
}

TEST(ParallelAdam, AllocatesNothing) {
  ParallelAdam adam = MakeAdam(2);
  std::vector<float> parameters(kParameters);
  FillParts(adam, 1);
  EXPECT_EQ(testing::CountAllocations([&] {
              adam.Sum(2);
              adam.Descend(parameters);
              adam.Forget();
            }),
            0);
}

TEST(ParallelAdam, GoesOnToTheBitFromAFile) {
  ParallelAdam adam = MakeAdam();
  std::vector<float> parameters = Normals(0, kParameters);
  for (int step = 1; step <= 2; ++step) {
    FillParts(adam, step);
    adam.Sum();
    adam.Descend(parameters);
  }
  TensorFile file;
  adam.Save("a.", file);
  ParallelAdam other = MakeAdam();
  other.Restore("a.", file);
  EXPECT_EQ(other.steps(), 2);
  std::vector<float> of_other = parameters;
  for (const auto& [one, its] : {std::pair(&adam, &parameters), std::pair(&other, &of_other)}) {
    FillParts(*one, 3);
    one->Sum();
    one->Descend(*its);
  }
  EXPECT_EQ(of_other, parameters);
}

TEST(ParallelAdam, ABadFileIsNamedAndChangesNothing) {
  ParallelAdam adam(2, 1, kOptions, std::make_shared<ThreadPool>(1));
  std::vector<float> parameters = {1, 2};
  adam.part(0)[0] = 1;
  adam.Sum();
  adam.Descend(parameters);
  TensorFile good;
  adam.Save("a.", good);
  good.source = "state.safetensors";
  const auto expect = [&](const std::string& tensor, const auto& spoil) {
    TensorFile file = good;
    spoil(file.tensors[tensor]);
    const std::string text = MessageOf([&] { adam.Restore("a.", file); });
    EXPECT_NE(text.find("state.safetensors"), std::string::npos) << text;
    EXPECT_NE(text.find(tensor), std::string::npos) << text;
    TensorFile after;
    adam.Save("a.", after);
    EXPECT_EQ(SerializeTensors(after, "a"), SerializeTensors(good, "a"));
  };
  expect("a.first_moment", [](Tensor& t) { t.shape = {1}; });
  expect("a.first_moment", [](Tensor& t) {
    t.values = std::vector<float>{std::numeric_limits<float>::infinity(), 0};
  });
  expect("a.second_moment", [](Tensor& t) { t.values = std::vector<float>{1, -1}; });
  expect("a.adam_steps", [](Tensor& t) { t.values = std::vector<int32_t>{-1}; });
  expect("a.adam_steps", [](Tensor& t) { t.values = std::vector<float>{1}; });
}

}  // namespace
}  // namespace foreplan

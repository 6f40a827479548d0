#include "foreplan/data/dataset.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

std::vector<double> Copy(std::span<const double> values) { return {values.begin(), values.end()}; }

TEST(Dataset, KeepsTransitionsInOrder) {
  Dataset data(3, 2);
  EXPECT_EQ(data.size(), 0);
  constexpr int kCount = 1000;
  for (int i = 0; i < kCount; ++i) {
    const double x = i;
    data.Add(std::vector{x, x + 0.1, x + 0.2}, std::vector{-x, -x - 0.1},
             std::vector{x + 1, x + 1.1, x + 1.2}, i / 200);
  }
  ASSERT_EQ(data.size(), kCount);
  EXPECT_EQ(data.observation_dim(), 3);
  EXPECT_EQ(data.action_dim(), 2);
  for (const int64_t i : {0, 1, 500, kCount - 1}) {
    const auto x = static_cast<double>(i);
    EXPECT_EQ(Copy(data.observation(i)), (std::vector{x, x + 0.1, x + 0.2}));
    EXPECT_EQ(Copy(data.action(i)), (std::vector{-x, -x - 0.1}));
    EXPECT_EQ(Copy(data.next_observation(i)), (std::vector{x + 1, x + 1.1, x + 1.2}));
    EXPECT_EQ(data.episode(i), i / 200);
  }
}

TEST(Dataset, RefusesWrongSizesAndStaysAsItWas) {
  const std::vector<double> one(1);
  const std::vector<double> two(2);
  EXPECT_THROW(Dataset(0, 1), InputError);
  EXPECT_THROW(Dataset(1, -1), InputError);
  Dataset data(2, 1);
  EXPECT_THROW(data.Add(one, one, two, 0), InputError);
  EXPECT_THROW(data.Add(two, two, two, 0), InputError);
  try {
    data.Add(two, one, one, 0);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "dataset: found next observation of 1 values, expected 2");
  }
  EXPECT_EQ(data.size(), 0);
}

Dataset SmallDataset() {
  Dataset data(2, 1);
  data.Add(std::vector{0.1, 0.2}, std::vector{0.3}, std::vector{0.4, 0.5}, 1);
  data.Add(std::vector{1.1, 1.2}, std::vector{1.3}, std::vector{1.4, 1.5}, 2);
  return data;
}

TEST(Dataset, RestoresWhatWasSaved) {
  TensorFile file;
  SmallDataset().Save(file);
  Dataset data(2, 1);
  data.Add(std::vector{9.0, 9.0}, std::vector{9.0}, std::vector{9.0, 9.0}, 9);
  data.Restore(file);
  ASSERT_EQ(data.size(), 2);
  EXPECT_EQ(Copy(data.observation(1)), (std::vector{1.1, 1.2}));
  EXPECT_EQ(Copy(data.action(0)), (std::vector{0.3}));
  EXPECT_EQ(Copy(data.next_observation(1)), (std::vector{1.4, 1.5}));
  EXPECT_EQ(data.episode(1), 2);
  data.Add(std::vector{2.1, 2.2}, std::vector{2.3}, std::vector{2.4, 2.5}, 3);
  EXPECT_EQ(Copy(data.observation(2)), (std::vector{2.1, 2.2}));
}

TEST(Dataset, RestoreRefusesWhatDoesNotFitAndStaysAsItWas) {
  TensorFile missing;
  SmallDataset().Save(missing);
  missing.tensors.erase("data.next_observation");
  TensorFile shorter;
  SmallDataset().Save(shorter);
  shorter.tensors["data.action"] = {{1, 1}, std::vector<double>{0.5}};
  Dataset data = SmallDataset();
  Dataset other(3, 1);
  EXPECT_THROW(data.Restore(missing), InputError);
  EXPECT_THROW(data.Restore(shorter), InputError);
  EXPECT_EQ(data.size(), 2);
  EXPECT_EQ(data.action(1)[0], 1.3);
  TensorFile whole;
  data.Save(whole);
  EXPECT_THROW(other.Restore(whole), InputError);
  EXPECT_EQ(other.size(), 0);
}

}  // namespace
}  // namespace foreplan

#include "foreplan/data/dataset.h"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"

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

TEST(Dataset, KeepsRewardsAndHowStepsEndedInMemoryAndInFiles) {
  const std::vector<double> x{0.1, 0.2}, u{0.3};
  Dataset data(2, 1);
  data.EndEpisode(StepEnd::kTruncated);  // of nothing
  data.Add({.observation = x, .action = u, .next_observation = x, .episode = 1, .reward = -0.5});
  data.Add({.observation = x,
            .action = u,
            .next_observation = x,
            .episode = 1,
            .reward = 2.5,
            .end = StepEnd::kTerminated});
  data.EndEpisode(StepEnd::kTruncated);  // it has ended already
  data.Add(x, u, x, 2);
  data.Add(x, u, x, 2);
  data.EndEpisode(StepEnd::kTruncated);
  TensorFile file;
  data.Save(file);
  TensorFile later;
  data.Save(later, 1);
  Dataset whole(2, 1), joined(2, 1);
  whole.Restore(file);
  joined.Add({.observation = x, .action = u, .next_observation = x, .episode = 1, .reward = -0.5});
  joined.Append(later);
  for (const Dataset* each : std::initializer_list<const Dataset*>{&data, &whole, &joined}) {
    ASSERT_EQ(each->size(), 4);
    EXPECT_EQ(each->reward(0), -0.5);
    EXPECT_EQ(each->reward(1), 2.5);
    EXPECT_TRUE(std::isnan(each->reward(2)));  // not known
    EXPECT_EQ(each->end(0), StepEnd::kContinues);
    EXPECT_EQ(each->end(1), StepEnd::kTerminated);
    EXPECT_EQ(each->end(2), StepEnd::kContinues);
    EXPECT_EQ(each->end(3), StepEnd::kTruncated);
  }
}

TEST(Dataset, OfFilesWithoutRewardsAndEndsNeitherIsKnown) {
  TensorFile file;
  SmallDataset().Save(file);
  file.tensors.erase("data.reward");
  file.tensors.erase("data.end");
  Dataset data(2, 1);
  data.Restore(file);
  ASSERT_EQ(data.size(), 2);
  EXPECT_TRUE(std::isnan(data.reward(1)));
  EXPECT_EQ(data.end(1), StepEnd::kContinues);
}

TEST(Dataset, RefusesEndsThatAreNone) {
  for (const int32_t end : {-1, 3}) {
    TensorFile file;
    SmallDataset().Save(file);
    file.source = "x.safetensors";
    std::get<std::vector<int32_t>>(file.tensors["data.end"].values).back() = end;
    Dataset data = SmallDataset();
    EXPECT_EQ(MessageOf([&] { data.Restore(file); }),
              "x.safetensors: data.end: row 1: found " + std::to_string(end) +
                  ", expected 0 (goes on), 1 (terminated) or 2 (truncated)");
    EXPECT_EQ(data.size(), 2);
  }
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

TEST(Dataset, ARowContinuesTheOneBeforeOnlyWhereThatEndedInTheSameEpisode) {
  Dataset data(2, 1);
  const auto add = [&](double from, double to, int episode) {
    data.Add(std::vector{7.0, from}, std::vector{0.0}, std::vector{7.0, to}, episode);
  };
  add(0, 1, 1);
  add(1, 2, 1);
  add(3, 4, 1);  // rows between are lost, in the second component alone
  add(4, 5, 1);
  add(5, 6, 2);  // another episode that begins where the last one ended
  EXPECT_TRUE(data.continues(1));
  EXPECT_FALSE(data.continues(2));
  EXPECT_TRUE(data.continues(3));
  EXPECT_FALSE(data.continues(4));
}

TEST(Dataset, SavesTheRowsFromTheFirstAskedForAndAppendsThemWhereTheyBelong) {
  Dataset data = SmallDataset();
  TensorFile whole;
  data.Save(whole);
  data.Add(std::vector{2.1, 2.2}, std::vector{2.3}, std::vector{2.4, 2.5}, 3);
  TensorFile more;
  data.Save(more, 2);
  EXPECT_EQ(more.tensors.at("data.episode").shape, (std::vector<int64_t>{1}));
  Dataset read(2, 1);
  EXPECT_THROW(read.Append(more), InputError);  // its rows 0 and 1 are missing
  EXPECT_EQ(read.size(), 0);
  read.Append(whole);
  read.Append(more);
  ASSERT_EQ(read.size(), 3);
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_EQ(Copy(read.observation(row)), Copy(data.observation(row)));
    EXPECT_EQ(Copy(read.action(row)), Copy(data.action(row)));
    EXPECT_EQ(Copy(read.next_observation(row)), Copy(data.next_observation(row)));
    EXPECT_EQ(read.episode(row), data.episode(row));
  }
  EXPECT_THROW(read.Append(more), InputError);  // twice
  EXPECT_EQ(read.size(), 3);
}

TEST(Dataset, RefusesNumbersThatAreNotFiniteNamingFileArrayAndRow) {
  for (const char* name : {"data.observation", "data.action", "data.next_observation"}) {
    TensorFile file;
    SmallDataset().Save(file);
    file.source = "x.safetensors";
    std::get<std::vector<double>>(file.tensors[name].values).back() =
        std::numeric_limits<double>::quiet_NaN();
    Dataset data = SmallDataset();
    const std::string column = std::string_view(name) == "data.action" ? "0" : "1";
    try {
      data.Restore(file);
      FAIL() << name;
    } catch (const InputError& error) {
      EXPECT_EQ(error.what(), std::string("x.safetensors: ") + name + ": row 1, column " + column +
                                  ": found nan, expected a finite number");
    }
    EXPECT_EQ(data.size(), 2);
    EXPECT_EQ(data.action(1)[0], 1.3);
  }
}

}  // namespace
}  // namespace foreplan

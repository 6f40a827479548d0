#include "foreplan/data/dataset.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
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
  data.Save(later, 1, data.size());
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
  data.Save(more, 2, data.size());
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

// --- segments

constexpr int kWide = 500;  // observations, so that a hundred rows fill a segment

/// Rows first, first + 1, ... whose numbers tell the row and the place in it.
void AddWideRows(int first, int count, Dataset& data) {
  std::vector<double> observation(kWide), next(kWide);
  for (int row = first; row < first + count; ++row) {
    for (int k = 0; k < kWide; ++k) {
      observation[static_cast<size_t>(k)] = row + 1e-3 * k;
      next[static_cast<size_t>(k)] = -row - 1e-3 * k;
    }
    data.Add({.observation = observation,
              .action = std::vector{0.5 * row},
              .next_observation = next,
              .episode = row / 50,
              .reward = 0.25 * row});
  }
}

void ExpectWideRow(const Dataset& data, int row) {
  ASSERT_LT(row, data.size());
  EXPECT_EQ(data.observation(row).size(), size_t{kWide});
  EXPECT_EQ(data.observation(row)[0], row);
  EXPECT_EQ(data.observation(row)[kWide - 1], row + 1e-3 * (kWide - 1));
  EXPECT_EQ(data.next_observation(row)[1], -row - 1e-3);
  EXPECT_EQ(data.action(row)[0], 0.5 * row);
  EXPECT_EQ(data.episode(row), row / 50);
  EXPECT_EQ(data.reward(row), 0.25 * row);
}

TEST(Dataset, RowsStayWhereTheyAreWhileItGrowsAndWhenItMoves) {
  Dataset data(kWide, 1);
  AddWideRows(0, 1, data);
  const std::span<const double> first = data.observation(0);
  const std::span<const double> reward = data.RowsFrom(0).reward;
  const auto rows = static_cast<int>(data.segment_rows());
  AddWideRows(1, 10 * rows, data);
  const std::span<const double> later = data.next_observation(3 * rows);
  const Dataset moved = std::move(data);
  EXPECT_EQ(moved.observation(0).data(), first.data());
  EXPECT_EQ(moved.RowsFrom(0).reward.data(), reward.data());
  EXPECT_EQ(moved.next_observation(3 * rows).data(), later.data());
  EXPECT_EQ(first[7], 7e-3);
  EXPECT_EQ(later[1], -3 * rows - 1e-3);
  for (const int row : {0, 1, rows - 1, rows, 7 * rows - 1, 10 * rows}) ExpectWideRow(moved, row);
}

TEST(Dataset, ARowOfItsOwnMayBeAdded) {
  Dataset data(kWide, 1);
  AddWideRows(0, static_cast<int>(data.segment_rows()), data);
  data.Add(data.transition(3));
  EXPECT_EQ(Copy(data.observation(data.segment_rows())), Copy(data.observation(3)));
}

TEST(Dataset, AddingRowsAllocatesTheSameHoweverManyThereAre) {
  Dataset data(kWide, 1);
  const auto rows = static_cast<int>(data.segment_rows());
  const std::vector<double> x(kWide), u(1);
  const auto allocations_of_two_segments = [&] {
    return testing::CountAllocations([&] {
      for (int row = 0; row < 2 * rows; ++row) data.Add(x, u, x, 0);
    });
  };
  // At 5 and 100 segments, where the table of segments has room for two more.
  AddWideRows(0, 5 * rows, data);
  const long early = allocations_of_two_segments();
  AddWideRows(7 * rows, 93 * rows, data);
  EXPECT_EQ(allocations_of_two_segments(), early);
  EXPECT_LE(early, 2 * 7);  // a segment and its six matrices
}

TEST(Dataset, EpisodesOfOthersJoinUnderNumbersOfTheirOwn) {
  const auto row = [](double value, int episode, StepEnd end) {
    static std::array<double, 1> o;
    static std::array<double, 1> u;
    o = {value};
    u = {-value};
    return Transition{.observation = o,
                      .action = u,
                      .next_observation = o,
                      .episode = episode,
                      .reward = 10 * value,
                      .end = end};
  };
  Dataset others(1, 1);
  others.Add(row(1, 4, StepEnd::kContinues));
  others.Add(row(2, 4, StepEnd::kContinues));  // cut without a word
  others.Add(row(3, 9, StepEnd::kContinues));
  others.Add(row(4, 9, StepEnd::kTerminated));
  Dataset data(1, 1);
  data.Add(row(0, 1, StepEnd::kContinues));
  data.AddEpisodes(others);
  ASSERT_EQ(data.size(), 5);
  const std::vector<int> episodes = {1, 2, 2, 3, 3};
  const std::vector<StepEnd> ends = {StepEnd::kTruncated, StepEnd::kContinues, StepEnd::kTruncated,
                                     StepEnd::kContinues, StepEnd::kTerminated};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(data.episode(i), episodes[static_cast<size_t>(i)]) << i;
    EXPECT_EQ(data.end(i), ends[static_cast<size_t>(i)]) << i;
    EXPECT_EQ(data.observation(i)[0], i);
    EXPECT_EQ(data.action(i)[0], -i);
    EXPECT_EQ(data.reward(i), 10 * i);
  }
  EXPECT_EQ(data.next_episode(), 4);
  EXPECT_EQ(MessageOf([&] { data.AddEpisodes(Dataset(2, 1)); }),
            "data: found others with 2 observed numbers and 1 actions, expected 1 and 1");
  EXPECT_EQ(data.size(), 5);
}

TEST(Dataset, TheRowsOfASegmentLieTogether) {
  Dataset data(kWide, 1);
  EXPECT_EQ(data.RowsFrom(0).rows, 0);
  const auto rows = static_cast<int>(data.segment_rows());
  AddWideRows(0, 2 * rows + 5, data);
  int64_t seen = 0;
  while (seen < data.size()) {
    const TransitionRows part = data.RowsFrom(seen);
    ASSERT_EQ(part.rows, seen < 2 * rows ? rows : 5);
    ASSERT_EQ(std::ssize(part.observation), part.rows * kWide);
    ASSERT_EQ(std::ssize(part.next_observation), part.rows * kWide);
    for (int64_t i = 0; i < part.rows; ++i) {
      const auto at = static_cast<size_t>(i);
      const auto row = static_cast<double>(seen + i);
      EXPECT_EQ(part.observation[at * kWide + 2], row + 2e-3);
      EXPECT_EQ(part.next_observation[at * kWide], -row);
      EXPECT_EQ(part.action[at], 0.5 * row);
      EXPECT_EQ(part.reward[at], 0.25 * row);
      EXPECT_EQ(part.episode[at], (seen + i) / 50);
      EXPECT_EQ(part.end[at], StepEnd::kContinues);
    }
    seen += part.rows;
  }
  EXPECT_EQ(data.RowsFrom(rows + 3).rows, rows - 3);  // from within a segment to its end
  EXPECT_EQ(data.RowsFrom(data.size()).rows, 0);
}

TEST(Dataset, ACopySharesWhatIsFullAndGoesOnByItself) {
  // The last segment has room, or is full and nothing follows it yet.
  for (const int more : {5, 0}) {
    SCOPED_TRACE(more);
    Dataset data(kWide, 1);
    const auto rows = static_cast<int>(data.segment_rows());
    AddWideRows(0, 2 * rows + more, data);
    Dataset copy = data;
    Dataset assigned(2, 2);
    assigned = copy;
    EXPECT_EQ(copy.observation(0).data(), data.observation(0).data());
    const int last = 2 * rows + more - 1;
    EXPECT_NE(copy.observation(last).data(), data.observation(last).data());
    copy.EndEpisode(StepEnd::kTerminated);
    data.EndEpisode(StepEnd::kTruncated);
    AddWideRows(last + 1, rows, copy);
    data.Add(data.transition(0));
    EXPECT_EQ(copy.end(last), StepEnd::kTerminated);
    EXPECT_EQ(data.end(last), StepEnd::kTruncated);
    EXPECT_EQ(assigned.end(last), StepEnd::kContinues);
    ASSERT_EQ(copy.size(), last + 1 + rows);
    ASSERT_EQ(data.size(), last + 2);
    ASSERT_EQ(assigned.size(), last + 1);
    for (const int row : {0, rows, last, last + 1, last + rows}) ExpectWideRow(copy, row);
    ExpectWideRow(assigned, last);
    EXPECT_EQ(data.reward(last + 1), 0);
  }
}

TEST(Dataset, ACopyIsReadWhileTheOtherGrowsInAnotherThread) {
  Dataset data(kWide, 1);
  const auto rows = static_cast<int>(data.segment_rows());
  AddWideRows(0, 2 * rows + 5, data);
  const Dataset copy = data;
  std::thread writer([&] { AddWideRows(2 * rows + 5, 10 * rows, data); });
  for (int round = 0; round < 10; ++round) {
    for (int row = 0; row < copy.size(); ++row) ExpectWideRow(copy, row);
  }
  writer.join();
  EXPECT_EQ(copy.size(), 2 * rows + 5);
  ExpectWideRow(data, 12 * rows + 4);
}

TEST(Dataset, RowsOfSeveralSegmentsAreSavedAndReadBack) {
  Dataset data(kWide, 1);
  const auto rows = static_cast<int>(data.segment_rows());
  AddWideRows(0, 3 * rows + 7, data);
  data.EndEpisode(StepEnd::kTerminated);
  TensorFile begin, rest;
  data.Save(begin, 0, rows + 3);
  data.Save(rest, rows + 3, data.size());
  Dataset read(kWide, 1);
  read.Append(begin);
  EXPECT_EQ(read.size(), rows + 3);
  read.Append(rest);
  ASSERT_EQ(read.size(), data.size());
  for (int row = 0; row < read.size(); ++row) ExpectWideRow(read, row);
  EXPECT_EQ(read.end(data.size() - 1), StepEnd::kTerminated);
}

}  // namespace
}  // namespace foreplan

#include "foreplan/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

namespace foreplan {
namespace {

using Block = std::array<uint32_t, 4>;

// The bounds on sample statistics below are five standard errors. Seeds are fixed, so a test that
// passes once passes always; five leaves room for the choice of seeds.
constexpr double kStandardErrors = 5;

// The counter of the cipher is (index, stream), its key is the seed; the answers are those that
// the authors of Philox publish for philox4x32-10.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(Philox({0, 0}, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({~uint64_t{0}, ~uint64_t{0}}, ~uint64_t{0}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x299f31d0a4093822, 0x0370734413198a2e}, 0x85a308d3243f6a88),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Key, FoldDependsOnEveryBitOfKeyAndData) {
  const Key key{0x0123456789abcdef, 0xfedcba9876543210};
  const Key folded = key.Fold(77);
  EXPECT_EQ(folded, key.Fold(77));
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t mask = uint64_t{1} << bit;
    EXPECT_NE(folded, key.Fold(77 ^ mask)) << bit;
    EXPECT_NE(folded, (Key{key.seed ^ mask, key.stream}.Fold(77))) << bit;
    EXPECT_NE(folded, (Key{key.seed, key.stream ^ mask}.Fold(77))) << bit;
  }
}

// Nested folds, as learners use them: 128-bit names of 90,000 streams collide with odds of 1e-29.
TEST(Key, NestedFoldsNeverCollide) {
  std::set<std::pair<uint64_t, uint64_t>> seen;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const Key run{seed, 0};
    for (uint64_t episode = 0; episode < 100; ++episode) {
      const Key episode_key = run.Fold(episode);
      for (uint64_t step = 0; step < 300; ++step) {
        const Key key = episode_key.Fold(step);
        EXPECT_TRUE(seen.emplace(key.seed, key.stream).second);
      }
    }
  }
}

TEST(Key, FoldedStreamsAreUncorrelated) {
  constexpr int kCount = 20000;
  const Key key{5, 0};
  Random a(key);
  Random b(key.Fold(0));
  Random c(key.Fold(1));
  double ab = 0;
  double bc = 0;
  for (int i = 0; i < kCount; ++i) {
    const double na = a.Normal();
    const double nb = b.Normal();
    ab += na * nb;
    bc += nb * c.Normal();
  }
  const double bound = kStandardErrors / std::sqrt(kCount);  // a product of normals has variance 1
  EXPECT_LT(std::abs(ab / kCount), bound);
  EXPECT_LT(std::abs(bc / kCount), bound);
}

TEST(Random, CopiesReadTheSameNumbers) {
  Random random(Key{1, 2});
  for (int i = 0; i < 7; ++i) random.Normal();  // leaves a spare normal and half a block behind
  Random copy = random;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(random.Normal(), copy.Normal());
  EXPECT_EQ(random.Bits64(), copy.Bits64());
}

TEST(Random, BitsUseEveryWordOfABlockOnce) {
  const Key key{3, 4};
  Random random(key);
  for (uint64_t index = 0; index < 3; ++index) {
    const Block block = Philox(key, index);
    std::multiset<uint32_t> expected(block.begin(), block.end());
    std::multiset<uint32_t> found;
    for (int i = 0; i < 2; ++i) {
      const uint64_t bits = random.Bits64();
      found.insert(static_cast<uint32_t>(bits));
      found.insert(static_cast<uint32_t>(bits >> 32));
    }
    EXPECT_EQ(found, expected);
  }
}

TEST(Random, UniformHasItsMomentsAndRange) {
  constexpr int kCount = 100000;
  Random random(Key{6, 0});
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.Uniform(-1, 3);
    ASSERT_GE(value, -1);
    ASSERT_LE(value, 3);
    sum += value;
    squares += (value - 1) * (value - 1);
  }
  // Uniform on [-1, 3]: mean 1, variance 16 / 12, fourth central moment 16 / 5.
  EXPECT_NEAR(sum / kCount, 1, kStandardErrors * std::sqrt(16.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount, 16.0 / 12,
              kStandardErrors * std::sqrt((16.0 / 5 - 256.0 / 144) / kCount));
}

/// Mean of z^power over `values`.
double Moment(const std::vector<double>& values, int power) {
  double sum = 0;
  for (const double value : values) sum += std::pow(value, power);
  return sum / static_cast<double>(values.size());
}

TEST(Random, NormalHasItsMomentsAndTails) {
  constexpr int kCount = 200000;
  std::vector<double> values(kCount);
  Random(Key{7, 0}).FillNormal(values);
  // E z^2k = 1, 3, 15, 105; Var(z^k) = E z^2k - (E z^k)^2.
  EXPECT_NEAR(Moment(values, 1), 0, kStandardErrors * std::sqrt(1.0 / kCount));
  EXPECT_NEAR(Moment(values, 2), 1, kStandardErrors * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(Moment(values, 3), 0, kStandardErrors * std::sqrt(15.0 / kCount));
  EXPECT_NEAR(Moment(values, 4), 3, kStandardErrors * std::sqrt(96.0 / kCount));
  const double beyond = std::erfc(3 / std::numbers::sqrt2);  // P(|z| > 3)
  const auto found =
      std::count_if(values.begin(), values.end(), [](double z) { return std::abs(z) > 3; });
  EXPECT_NEAR(static_cast<double>(found) / kCount, beyond,
              kStandardErrors * std::sqrt(beyond / kCount));
}

// Draws of Normal itself, which fills only use where they begin within a block.
TEST(Random, NormalsDrawnOneByOneHaveTheirMoments) {
  constexpr int kCount = 100000;
  Random random(Key{7, 1});
  std::vector<double> values(kCount);
  for (double& value : values) value = random.Normal();
  EXPECT_NEAR(Moment(values, 1), 0, kStandardErrors * std::sqrt(1.0 / kCount));
  EXPECT_NEAR(Moment(values, 2), 1, kStandardErrors * std::sqrt(2.0 / kCount));
  double neighbours = 0;
  for (size_t i = 1; i < values.size(); ++i) neighbours += values[i] * values[i - 1];
  EXPECT_NEAR(neighbours / kCount, 0, kStandardErrors / std::sqrt(kCount));
}

TEST(Random, NeighbouringNormalsAreUncorrelated) {
  constexpr int kCount = 100000;
  std::vector<double> values(kCount);
  Random(Key{8, 0}).FillNormal(values);
  double sum = 0;
  double sum_of_squares = 0;  // the pair of one Box-Muller draw must not share its radius
  for (size_t i = 1; i < values.size(); ++i) {
    sum += values[i] * values[i - 1];
    sum_of_squares += (values[i] * values[i] - 1) * (values[i - 1] * values[i - 1] - 1);
  }
  EXPECT_NEAR(sum / kCount, 0, kStandardErrors / std::sqrt(kCount));
  EXPECT_NEAR(sum_of_squares / kCount, 0, kStandardErrors * 2 / std::sqrt(kCount));
}

TEST(Random, TruncatedNormalHasItsVarianceAndStaysInside) {
  constexpr int kCount = 100000;
  Random random(Key{9, 0});
  std::vector<double> values(kCount);
  for (double& value : values) value = random.TruncatedNormal();
  EXPECT_LE(*std::max_element(values.begin(), values.end()), 2.0);
  EXPECT_GE(*std::min_element(values.begin(), values.end()), -2.0);
  // Var = 1 - 2 c phi(c) / (2 Phi(c) - 1) with c = 2.
  const double density = std::exp(-2.0) / std::sqrt(2 * std::numbers::pi);
  const double variance = 1 - 4 * density / std::erf(std::numbers::sqrt2);
  EXPECT_NEAR(Moment(values, 1), 0, kStandardErrors * std::sqrt(variance / kCount));
  // z^2 lies in [0, 4], so its variance is at most 4.
  EXPECT_NEAR(Moment(values, 2), variance, kStandardErrors * 2 / std::sqrt(kCount));
}

// The batch evaluates the same formula on the same bits, in other vector code: what differs is a
// few roundings of the logarithm and of the angle, at most 9 x 1e-15 on numbers below 9.
constexpr double kBatchTolerance = 1e-14;

TEST(Random, FilledNormalsAreThoseDrawnOneByOne) {
  for (const size_t count : {1, 2, 15, 16, 17, 30, 31, 32, 1000}) {
    for (const int drawn_before : {0, 1, 2, 3}) {
      Random one_by_one(Key{5, count});
      for (int i = 0; i < drawn_before; ++i) one_by_one.Normal();
      Random batched = one_by_one;
      std::vector<double> filled(count);
      batched.FillNormal(filled);
      for (const double value : filled) EXPECT_NEAR(value, one_by_one.Normal(), kBatchTolerance);
      EXPECT_NEAR(batched.Normal(), one_by_one.Normal(), kBatchTolerance);
      EXPECT_EQ(batched.Bits64(), one_by_one.Bits64());
    }
  }
}

TEST(Random, NormalsFilledWithinABlockAreThoseDrawnOneByOne) {
  Random one_by_one(Key{5, 1});
  one_by_one.Uniform();
  Random batched = one_by_one;
  std::vector<double> filled(20);
  batched.FillNormal(filled);
  for (const double value : filled) EXPECT_EQ(value, one_by_one.Normal());
}

TEST(Random, FilledTruncatedNormalsAreThoseDrawnOneByOne) {
  for (const size_t count : {1, 2, 25, 150, 1000}) {
    Random one_by_one(Key{6, count});
    Random batched = one_by_one;
    std::vector<double> filled(count);
    batched.FillTruncatedNormal(filled);
    for (const double value : filled) {
      EXPECT_NEAR(value, one_by_one.TruncatedNormal(), kBatchTolerance);
    }
    EXPECT_NEAR(batched.Normal(), one_by_one.Normal(), kBatchTolerance);
    EXPECT_EQ(batched.Bits64(), one_by_one.Bits64());
  }
}

TEST(Random, FilledNormalsStartWithThoseOfAShorterFill) {
  std::vector<double> shorter(13);
  std::vector<double> longer(40);
  Random(Key{5, 2}).FillNormal(shorter);
  Random(Key{5, 2}).FillNormal(longer);
  for (size_t i = 0; i < shorter.size(); ++i) EXPECT_EQ(shorter[i], longer[i]) << i;
}

TEST(Key, AFamilyGivesTheFoldedKeys) {
  const Key key{3, 4};
  const KeyFamily family(key);
  for (const uint64_t data : {uint64_t{0}, uint64_t{77}, ~uint64_t{0}}) {
    EXPECT_EQ(family[data], key.Fold(data));
  }
}

TEST(Random, BelowGivesEveryValueEquallyOften) {
  constexpr int kCount = 70000;
  for (const uint64_t sides : {1, 2, 7}) {
    Random random(Key{10, sides});
    std::vector<int> counts(sides);
    for (int i = 0; i < kCount; ++i) {
      const uint64_t value = random.Below(sides);
      ASSERT_LT(value, sides);
      ++counts[value];
    }
    const double expected = static_cast<double>(kCount) / static_cast<double>(sides);
    for (const int count : counts) {
      EXPECT_NEAR(count, expected, kStandardErrors * std::sqrt(expected));
    }
  }
}

// With 3 * 2^62 values a plain remainder would give the lowest third twice as often as the others.
TEST(Random, BelowIsUnbiasedForHugeCounts) {
  constexpr uint64_t kThird = uint64_t{1} << 62;
  constexpr int kCount = 30000;
  Random random(Key{11, 0});
  std::array<int, 3> counts{};
  for (int i = 0; i < kCount; ++i) {
    const uint64_t value = random.Below(3 * kThird);
    ASSERT_LT(value, 3 * kThird);
    ++counts[value / kThird];
  }
  const double expected = kCount / 3.0;
  for (const int count : counts) {
    EXPECT_NEAR(count, expected, kStandardErrors * std::sqrt(expected));
  }
}

TEST(Random, ShuffleIsAPermutationAndReachesEveryOrderEquallyOften) {
  std::vector<int> deck(1000);
  std::iota(deck.begin(), deck.end(), 0);
  std::vector<int> shuffled = deck;
  Random random(Key{12, 0});
  random.Shuffle(std::span(shuffled));
  EXPECT_NE(shuffled, deck);
  EXPECT_TRUE(std::is_permutation(shuffled.begin(), shuffled.end(), deck.begin()));

  constexpr int kCount = 60000;
  std::array<int, 27> counts{};  // orders of three, as numbers to the base of three
  for (int i = 0; i < kCount; ++i) {
    std::array<int, 3> three = {0, 1, 2};
    random.Shuffle(std::span<int>(three));
    const int order = 9 * three[0] + 3 * three[1] + three[2];
    ++counts[static_cast<size_t>(order)];
  }
  const double expected = kCount / 6.0;
  EXPECT_EQ(std::count_if(counts.begin(), counts.end(), [](int count) { return count > 0; }), 6);
  for (const int count : counts) {
    if (count == 0) continue;
    EXPECT_NEAR(count, expected, kStandardErrors * std::sqrt(expected));
  }
}

TEST(Random, ShuffleOfNothingAndOfOneDoesNothing) {
  std::vector<int> one = {4};
  Random random(Key{13, 0});
  random.Shuffle(std::span(one));
  random.Shuffle(std::span<int>());
  EXPECT_EQ(one, std::vector<int>{4});
  EXPECT_EQ(random.Bits64(), Random(Key{13, 0}).Bits64());
}

}  // namespace
}  // namespace foreplan

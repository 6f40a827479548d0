#include "foreplan/data/normaliser.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace foreplan {
namespace {

TEST(Normaliser, StartsAsTheIdentity) {
  const Normaliser normaliser(2);
  EXPECT_EQ(normaliser.mean, (std::vector<double>{0, 0}));
  EXPECT_EQ(normaliser.scale, (std::vector<double>{1, 1}));
}

TEST(Normaliser, TakesMeanAndDeviationOfEachColumn) {
  Normaliser normaliser(2);
  const auto row = [](int64_t i, double* values) {
    values[0] = i == 0 ? 1 : 3;
    values[1] = i == 0 ? 10 : 30;
  };
  normaliser.Fit(2, row, 1e-6, 1.0);
  EXPECT_EQ(normaliser.mean, (std::vector<double>{2, 20}));
  EXPECT_EQ(normaliser.scale, (std::vector<double>{1, 10}));
}

TEST(Normaliser, GivesConstantColumnsTheScaleAskedFor) {
  Normaliser normaliser(1);
  normaliser.Fit(
      3, [](int64_t, double* values) { *values = 7; }, 1e-6, 0.25);
  EXPECT_EQ(normaliser.mean[0], 7);
  EXPECT_EQ(normaliser.scale[0], 0.25);
}

}  // namespace
}  // namespace foreplan

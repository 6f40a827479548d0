#include "foreplan/data/normaliser.h"

#include <gtest/gtest.h>

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
  const std::vector<double> values = {1, 10, 3, 30};  // two rows
  normaliser.Fit(2, values.data(), 1e-6, 1.0);
  EXPECT_EQ(normaliser.mean, (std::vector<double>{2, 20}));
  EXPECT_EQ(normaliser.scale, (std::vector<double>{1, 10}));
}

TEST(Normaliser, GivesConstantColumnsTheScaleAskedFor) {
  Normaliser normaliser(1);
  const std::vector<double> values = {7, 7, 7};
  normaliser.Fit(3, values.data(), 1e-6, 0.25);
  EXPECT_EQ(normaliser.mean[0], 7);
  EXPECT_EQ(normaliser.scale[0], 0.25);
}

}  // namespace
}  // namespace foreplan

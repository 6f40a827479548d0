#include "foreplan/runs/decision_times.h"

#include <gtest/gtest.h>

#include <variant>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

TEST(DecisionTimes, CountsInBinsOfEqualRatio) {
  DecisionTimes times;
  for (size_t bin = 0; bin < DecisionTimes::kBins; ++bin) {
    times.Add(1.07 * DecisionTimes::Begin(bin));  // a bin ends at 1.155 times its begin
    EXPECT_EQ(times.InBin(bin), 1) << bin;
  }
  EXPECT_NEAR(DecisionTimes::Begin(16), 1e-5, 1e-18);
  times.Add(0);
  times.Add(1e9);
  EXPECT_EQ(times.InBin(0), 2);
  EXPECT_EQ(times.InBin(DecisionTimes::kBins - 1), 2);
  EXPECT_EQ(times.count(), static_cast<int64_t>(DecisionTimes::kBins) + 2);
}

TEST(DecisionTimes, QuantilesAreEndsOfBins) {
  DecisionTimes times;
  EXPECT_EQ(times.Quantile(0.5), 0);
  for (int i = 0; i < 98; ++i) times.Add(0.002);
  times.Add(0.05);
  times.Add(3);
  EXPECT_GE(times.Quantile(0.5), 0.002);
  EXPECT_LE(times.Quantile(0.5), 0.002 * 1.155);
  EXPECT_LE(times.Quantile(0.98), 0.002 * 1.155);
  EXPECT_GE(times.Quantile(0.99), 0.05);
  EXPECT_LE(times.Quantile(0.99), 0.05 * 1.155);
  EXPECT_GE(times.Quantile(1), 3);
}

TEST(DecisionTimes, AreLateBeyondTheDeadlineAlone) {
  DecisionTimes times(0.01);
  for (const double seconds : {0.001, 0.01, 0.0100001, 5.0}) times.Add(seconds);
  EXPECT_EQ(times.late(), 2);
  DecisionTimes without;
  without.Add(5);
  EXPECT_EQ(without.late(), 0);
}

TEST(DecisionTimes, GoOnFromACheckpoint) {
  DecisionTimes times(0.01);
  times.Add(0.001);
  times.Add(0.5);
  TensorFile file;
  file.source = "state";
  DecisionTimes empty(0.01);
  empty.Restore(file);
  EXPECT_EQ(empty.count(), 0);
  times.Save(file);
  DecisionTimes restored(0.01);
  restored.Restore(file);
  restored.Add(0.5);
  EXPECT_EQ(restored.count(), 3);
  EXPECT_EQ(restored.late(), 2);
  EXPECT_EQ(restored.Quantile(0.3), times.Quantile(0.3));
  for (const double wrong : {-1.0, 0.5, 1e300}) {
    TensorFile bad = file;
    std::get<std::vector<double>>(bad.tensors.at("session.decision_times").values)[3] = wrong;
    EXPECT_THROW(restored.Restore(bad), InputError) << wrong;
  }
}

}  // namespace
}  // namespace foreplan

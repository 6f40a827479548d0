#include "foreplan/runs/status_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace foreplan {
namespace {

TEST(WorkLine, SaysWhatIsDoneTheRateAndTheTimeLeft) {
  EXPECT_EQ(WorkLine("zero action", 2.5, 10, "episodes", 2, 80),
            "zero action  2.5/10 episodes  1.2 episodes/s  6 s left");
  EXPECT_EQ(WorkLine("fitting", 0.43, 1, "", 9, 80), "fitting  43 %  12 s left");
}

TEST(WorkLine, KnowsNoTimeLeftBeforeAnythingAndAfterEverythingIsDone) {
  EXPECT_EQ(WorkLine("fitting", 0, 1, "", 9, 80), "fitting  0 %");
  EXPECT_EQ(WorkLine("fitting", 1, 1, "", 9, 80), "fitting  100 %");
}

TEST(WorkLine, FitsEveryWidth) {
  for (int width = 0; width < 80; ++width) {
    EXPECT_LE(WorkLine("zero action", 2.5, 10, "episodes", 2, width).size(),
              static_cast<size_t>(width));
  }
  EXPECT_EQ(WorkLine("zero action", 2.5, 10, "episodes", 2, 30), "zero action  2.5/10 episodes");
}

TEST(DurationText, RoundsUp) {
  EXPECT_EQ(DurationText(0.1), "1 s");
  EXPECT_EQ(DurationText(83), "1:23 min");
  EXPECT_EQ(DurationText(3725), "1:02 h");
}

TEST(StatusLine, IsQuietWhereItIsNotVisible) {
  testing::internal::CaptureStderr();
  {
    StatusLine line(false);
    WorkProgress progress("fitting", 1, "", line);
    progress.Show(0.5);
    line.ShowNow([](int) { return std::string("shown"); });
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(StatusLine, RewritesItselfSeldomAndIsWipedWhenTheWorkIsOver) {
  testing::internal::CaptureStderr();
  StatusLine line(true);
  {
    WorkProgress progress("fitting", 100, "", line);
    for (int i = 0; i < 100; ++i) progress.Show(i);
  }
  line.Close();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::StartsWith("\rfitting  0 %\x1b[K"));
  EXPECT_THAT(text, testing::EndsWith("\r\x1b[K"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 0);
  // 100 calls within moments come too soon; a slow machine may show a few more.
  EXPECT_LT(std::count(text.begin(), text.end(), '\r'), 50);
}

}  // namespace
}  // namespace foreplan

#include "foreplan/control/reconnect.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

TEST(RunWhenReachable, TriesAgainUntilTheEpisodeBegins) {
  int calls = 0;
  const EpisodeResult result = RunWhenReachable({.reconnect_seconds = 60}, {}, [&] {
    if (++calls < 3) throw EnvironmentFailure("no answer");
    return EpisodeResult{.steps = 7};
  });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(result.steps, 7);
}

TEST(RunWhenReachable, GivesUpWhenTheTimeIsOverAndSaysWhatWasWrong) {
  int calls = 0;
  const auto fails = [&]() -> EpisodeResult {
    ++calls;
    throw EnvironmentFailure("no answer");
  };
  const auto run = [&](double seconds) {
    return MessageOf<RunError>(
        [&] { RunWhenReachable({.reconnect_seconds = seconds}, {}, fails); });
  };
  EXPECT_EQ(run(0),
            "the environment could not be reached for 0 s (environment.reconnect_seconds): no "
            "answer");
  EXPECT_EQ(calls, 1);
  EXPECT_NE(run(0.12).find("for 0.12 s"), std::string::npos);
  EXPECT_GE(calls, 3);  // at once, after 0.05 s, after 0.12 s
}

TEST(RunWhenReachable, OtherErrorsAreNotTriedAgain) {
  int calls = 0;
  EXPECT_EQ(MessageOf<RunError>([&] {
              RunWhenReachable({}, {}, [&]() -> EpisodeResult {
                ++calls;
                throw RunError("diverged");
              });
            }),
            "diverged");
  EXPECT_EQ(calls, 1);
}

TEST(RunWhenReachable, AStopEndsThePauseAtOnce) {
  std::stop_source stop;
  const auto begin = std::chrono::steady_clock::now();
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop.request_stop();
  });
  EXPECT_THROW(RunWhenReachable({.reconnect_seconds = 1e6}, stop.get_token(),
                                []() -> EpisodeResult { throw EnvironmentFailure("no answer"); }),
               Interrupted);
  // Far below the 1e6 s, far above what a busy machine makes of 20 ms.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace foreplan

#include "foreplan/runs/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/runs/message.h"
#include "foreplan/runs/plain_text.h"

namespace foreplan {
namespace {

using testing::HasSubstr;
using testing::Not;

ProgressState SomeState() {
  return {.episode = 3,
          .episodes = 12,
          .step = 120,
          .steps = 200,
          .total_steps = 520,
          .episode_return = 85.31,
          .last_return = 60.04,
          .model_error = 0.01234,
          .decisions_per_second = 321.4,
          .activity = "acting",
          .note = ""};
}

TEST(ProgressLine, SaysEverythingWhereThereIsRoom) {
  EXPECT_EQ(ProgressLine(SomeState(), 83, 200),
            "episode 3/12  acting  step 120/200  return 85.3  last 60.0  model error 0.0123  "
            "321 decisions/s  1:23 min left");
}

TEST(ProgressLine, FitsEveryWidthAndKeepsWhatMattersMost) {
  for (int width = 0; width < 200; ++width) {
    EXPECT_LE(ProgressLine(SomeState(), 83, width).size(), static_cast<size_t>(width));
  }
  const std::string narrow = ProgressLine(SomeState(), 83, 50);
  EXPECT_THAT(narrow, HasSubstr("episode 3/12"));
  EXPECT_THAT(narrow, HasSubstr("return 85.3"));
  EXPECT_THAT(narrow, Not(HasSubstr("decisions/s")));
}

TEST(ProgressLine, LeavesOutWhatIsNotKnown) {
  ProgressState state;
  state.episode = 1;
  state.step = 5;
  state.episode_return = -2;
  EXPECT_EQ(ProgressLine(state, std::nullopt, 200), "episode 1  step 5  return -2.0");
}

const TerminalStyle kUnicode{.is_terminal = true, .can_rewrite = true, .glyphs = Glyphs::kUnicode};

TEST(ProgressLine, DrawsTheReturnsInTheRoomThatIsLeft) {
  ProgressState state = SomeState();
  std::vector<double> returns(40);
  for (int i = 0; i < 40; ++i) returns[static_cast<size_t>(i)] = i;
  state.returns = returns;
  EXPECT_EQ(ProgressLine(state, 83, 79, kUnicode),
            "episode 3/12  acting  step 120/200  return 85.3  last 60.0  ▁▃▆█  1:23 min left");
  EXPECT_EQ(ProgressLine(state, 83, 82, kUnicode),
            "episode 3/12  acting  step 120/200  return 85.3  last 60.0  ▁▂▃▄▆▇█  1:23 min left")
      << "the room of three more columns";
  // Beyond its widest the line ends.
  EXPECT_EQ(ColumnsOf(ProgressLine(state, 83, 400, kUnicode)), 110 + 2 + 32);
  EXPECT_THAT(ProgressLine(state, 83, 79), HasSubstr("last 60.0  _,=^  1:23"));
}

TEST(ProgressLine, DrawsNoReturnsWhereThereAreTooFewOrNoRoom) {
  ProgressState state = SomeState();
  const std::vector<double> returns = {1, NAN, 3};
  state.returns = std::span(returns).first(1);
  EXPECT_EQ(ProgressLine(state, 83, 200, kUnicode), ProgressLine(SomeState(), 83, 200));
  state.returns = returns;
  EXPECT_THAT(ProgressLine(state, 83, 200, kUnicode), HasSubstr("last 60.0  ▁ █  model error"));
  EXPECT_EQ(ProgressLine(state, 83, 60, kUnicode), ProgressLine(SomeState(), 83, 60));
}

TEST(ProgressLine, FitsEveryWidthInColoursAndIsTheSameBelowThem) {
  ProgressState state = SomeState();
  const std::vector<double> returns(100, 1);
  state.returns = returns;
  TerminalStyle colored = kUnicode;
  colored.has_colors = true;
  for (int width = 0; width < 200; ++width) {
    const std::string plain = ProgressLine(state, 83, width, kUnicode);
    EXPECT_LE(ColumnsOf(plain), static_cast<size_t>(width));
    std::string without = ProgressLine(state, 83, width, colored);
    for (const char* code : {"\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"}) {
      for (size_t at = 0; (at = without.find(code)) != std::string::npos;) {
        without.erase(at, std::string_view(code).size());
      }
    }
    EXPECT_EQ(without, plain);
  }
  EXPECT_THAT(ProgressLine(state, 83, 200, colored),
              testing::StartsWith("\x1b[1mepisode 3/12\x1b[0m  acting  step"));
}

TEST(EpisodeLine, IsOnePlainLine) {
  ProgressState state = SomeState();
  state.step = 200;
  EXPECT_EQ(EpisodeLine(state, 3725),
            "episode 3/12: return 85.31, 200 steps, model error 0.0123, 321 decisions/s, "
            "1:02 h left");
}

TEST(EpisodeLine, SaysWhatDiverged) {
  ProgressState state = SomeState();
  state.note = "step 7: state 'x' is inf";
  EXPECT_THAT(EpisodeLine(state, std::nullopt),
              testing::EndsWith("; diverged: step 7: state 'x' is inf"));
}

TEST(Progress, WritesPlainLinesOnlyForFinishedEpisodes) {
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kPlain);
  progress.Show(SomeState());
  progress.FinishEpisode(SomeState());
  progress.Close();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::StartsWith("episode 3/12: return 85.31"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, RewritesOneLineOnATerminalAndEndsIt) {
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kTerminal);
  for (int i = 0; i < 100; ++i) progress.Show(SomeState());
  progress.FinishEpisode(SomeState());
  progress.Close();
  progress.Close();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.back(), '\n');
  // 100 calls within moments: the first is shown, the others come too soon (0.1 s apart at least;
  // a slow machine may show a few more).
  EXPECT_LT(std::count(text.begin(), text.end(), '\r'), 50);
}

/// stderr is another file while it lives.
class StderrAs {
 public:
  explicit StderrAs(int descriptor) : before_(dup(STDERR_FILENO)) {
    if (descriptor < 0) {
      close(STDERR_FILENO);
    } else {
      dup2(descriptor, STDERR_FILENO);
    }
  }
  ~StderrAs() {
    dup2(before_, STDERR_FILENO);
    close(before_);
    std::clearerr(stderr);
  }
  StderrAs(const StderrAs&) = delete;
  StderrAs& operator=(const StderrAs&) = delete;

 private:
  int before_;
};

// A full disk, a pipe whose reader has gone, a stderr that is closed.
TEST(Progress, ThatCannotBeWrittenIsLostAndNothingElse) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  close(pipe_ends[0]);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  for (const int descriptor : {full, pipe_ends[1], -1}) {
    const StderrAs other(descriptor);
    for (const Progress::Mode mode : {Progress::Mode::kTerminal, Progress::Mode::kPlain}) {
      Progress progress(mode);
      EXPECT_NO_THROW({
        progress.Show(SomeState());
        progress.FinishEpisode(SomeState());
        progress.Close();
      });
    }
    EXPECT_NO_THROW(WriteToStderr("lost\n"));
  }
  std::signal(SIGPIPE, before);
  close(full);
  close(pipe_ends[1]);
}

TEST(Progress, TheLastEpisodeCountsForTheTimeLeft) {
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kPlain);
  ProgressState state = SomeState();
  state.step = state.steps;
  for (int episode = 10; episode <= state.episodes; ++episode) {
    state.episode = episode;
    progress.FinishEpisode(state);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  const size_t last_but_one = text.find("episode 11");
  const size_t last = text.find("episode 12");
  EXPECT_THAT(text.substr(last_but_one, last - last_but_one), HasSubstr("left"));
  EXPECT_THAT(text.substr(last), Not(HasSubstr("left")));
}

TEST(Progress, EstimatesTheTimeLeftOnlyAfterAnEpisodeThatPlans) {
  testing::internal::CaptureStderr();
  Progress progress(Progress::Mode::kPlain);
  ProgressState state = SomeState();
  state.step = state.steps;
  state.episode = 1;
  progress.FinishEpisode(state);
  state.episode = 2;
  progress.FinishEpisode(state);
  const std::string text = testing::internal::GetCapturedStderr();
  const size_t line_end = text.find('\n');
  EXPECT_THAT(text.substr(0, line_end), Not(HasSubstr("left")));
  EXPECT_THAT(text.substr(line_end), HasSubstr("left"));
}

}  // namespace
}  // namespace foreplan

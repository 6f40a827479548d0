// What commands show on a terminal while they work, and that they show nothing elsewhere.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/runs/plain_text.h"
#include "foreplan/runs/status_line.h"

namespace foreplan::apps {
namespace {

using testing::ContainsRegex;

/// A terminal of which a thread reads what is written to it.
class Terminal {
 public:
  Terminal() : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    const bool ready = grantpt(master_) == 0 && unlockpt(master_) == 0;
    slave_ = ready ? open(ptsname(master_), O_RDWR | O_NOCTTY) : -1;
    reader_ = std::thread([this] {
      std::array<char, 4096> bytes{};
      for (;;) {
        const ssize_t count = read(master_, bytes.data(), bytes.size());
        if (count <= 0) return;  // nobody has it open any more
        text_.append(bytes.data(), static_cast<size_t>(count));
      }
    });
  }
  ~Terminal() { close(master_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] int slave() const { return slave_; }
  void SetWidth(unsigned short columns) const {
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(ioctl(slave_, TIOCSWINSZ, &size), 0);
  }
  /// All of it, when the programs that wrote to it have ended.
  std::string Text() {
    close(slave_);
    reader_.join();
    return text_;
  }

 private:
  int master_;
  int slave_ = -1;
  std::string text_;
  std::thread reader_;
};

struct Work {
  std::string name;
  std::vector<std::string> arguments;
  std::string shown;  // a regular expression
};

class TerminalTest : public ProgramTest, public testing::WithParamInterface<Work> {};

TEST_P(TerminalTest, ShowsHowFarTheWorkIsAndWipesItWhenItIsDone) {
  std::string log = "x,v,u\n";
  for (int i = 0; i < 200; ++i) {
    log += std::to_string(i % 7) + "," + std::to_string(i % 5) + "," + std::to_string(i % 3) + "\n";
  }
  WriteText("log.csv", log);
  const std::vector<std::string> arguments = GetParam().arguments;
  Terminal terminal;
  ASSERT_GE(terminal.slave(), 0);
  const ProgramResult shown = RunProgram(arguments, [&] {
    setenv("TERM", "xterm", 1);
    dup2(terminal.slave(), STDERR_FILENO);
  });
  const std::string text = terminal.Text();
  ASSERT_EQ(shown.exit_code, 0) << text;
  EXPECT_THAT(text, ContainsRegex("\r" + GetParam().shown));
  EXPECT_THAT(text, testing::HasSubstr("\r\x1b[K"));

  std::filesystem::remove_all(work() / "out");
  std::filesystem::remove(work() / "out.toml");
  const ProgramResult quiet = RunProgram(arguments);
  EXPECT_EQ(quiet.exit_code, 0) << quiet.err;
  EXPECT_THAT(quiet.err, testing::Not(testing::HasSubstr("\r")));
}

INSTANTIATE_TEST_SUITE_P(
    Commands, TerminalTest,
    testing::Values(
        Work{"fit",
             {"fit", "log.csv", "--observation", "x,v", "--action", "u", "--out", "out", "--set",
              "fit.min_steps=3000", "--set", "fit.max_steps=3000"},
             "fitting  [0-9]+ %  [0-9:]+ (s|min) left"},
        Work{"eval",
             {"eval", "cartpole_closed_form", "--controller", "true_model", "--episodes", "3"},
             "true_model  [0-9.]+/3 episodes  [0-9.e+-]+ episodes/s  [0-9:]+ (s|min) left"},
        Work{"tune",
             {"tune", "cartpole_closed_form", "--budget", "4", "--check", "1", "--out", "out.toml"},
             "tuning  [0-9.]+/4 episodes"},
        Work{"plan", {"plan", "pendulum", "--out", "out"}, "planning"},
        Work{"bench",
             {"bench", "mppi", "--repeats", "3", "--seconds", "0", "--set", "population=100"},
             "mppi  [0-9.]+/[0-9]+ cases"}),
    [](const auto& test) { return test.param.name; });

using testing::HasSubstr;
using testing::Not;

/// What `run` and `compare` draw.
class TerminalCurve : public ProgramTest {
 protected:
  using Variables = std::vector<std::pair<std::string, std::string>>;

  /// What a terminal of that width shows of both streams.
  [[nodiscard]] std::string Shown(const std::vector<std::string>& arguments, unsigned short width,
                                  const Variables& variables) const {
    Terminal terminal;
    terminal.SetWidth(width);
    const ProgramResult result = RunProgram(arguments, [&] {
      for (const char* name : {"NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG"}) unsetenv(name);
      for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
      dup2(terminal.slave(), STDOUT_FILENO);
      dup2(terminal.slave(), STDERR_FILENO);
    });
    std::string text = terminal.Text();
    EXPECT_EQ(result.exit_code, 0) << text;
    return text;
  }

  /// As often as the line is rewritten, what stands in it, without colours.
  static std::vector<std::string> Lines(const std::string& text) {
    const std::string plain = std::regex_replace(text, std::regex("\x1b\\[[0-9;]*[mK]"), "");
    std::vector<std::string> lines(1);
    for (const char c : plain) {
      if (c == '\r' || c == '\n') {
        lines.emplace_back();
      } else {
        lines.back() += c;
      }
    }
    return lines;
  }

  static bool IsAscii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  }

  const std::vector<std::string> run_ = TinyRun({"--episodes", "6", "--out", "made"});
};

TEST_F(TerminalCurve, OfTheReturnsFitsAndHasColors) {
  const std::string text = Shown(run_, 72, {{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}});
  EXPECT_THAT(text, ContainsRegex("last [0-9.]+  \x1b\\[36m(▁|▂|▃|▄|▅|▆|▇|█| )+\x1b\\[0m"));
  EXPECT_THAT(text, ContainsRegex("\nreturns  \x1b\\[36m(▁|▂|▃|▄|▅|▆|▇|█){6}\x1b\\[0m\r\n"));
  for (const std::string& line : Lines(text)) {
    if (!line.starts_with("episode ")) continue;
    EXPECT_LE(ColumnsOf(line), 71) << line;
  }
}

TEST_F(TerminalCurve, OfTheReturnsGivesWayOnANarrowTerminal) {
  const std::string text = Shown(run_, 24, {{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}});
  for (const std::string& line : Lines(text)) {
    if (!line.starts_with("episode ")) continue;
    EXPECT_LE(ColumnsOf(line), 23) << line;
  }
}

TEST_F(TerminalCurve, IsPlainWhereColorsOrCharactersAreNotWanted) {
  const std::string text = Shown(run_, 72, {{"TERM", "xterm"}, {"LC_ALL", "C"}, {"NO_COLOR", "1"}});
  EXPECT_TRUE(IsAscii(text));
  EXPECT_THAT(text, Not(ContainsRegex("\x1b\\[[0-9]+m")));
  EXPECT_THAT(text, ContainsRegex("\nreturns  [_.,~=+^-]+\r\n"));
  EXPECT_THAT(text, ContainsRegex("last [0-9.]+  [_.,~=+^-]+  "));
}

TEST_F(TerminalCurve, OfADumbTerminalIsAsciiBelowPlainLines) {
  const std::string text = Shown(run_, 72, {{"TERM", "dumb"}, {"LC_ALL", "C.UTF-8"}});
  EXPECT_TRUE(IsAscii(text));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("episode 6/6: return "));
  EXPECT_THAT(text, ContainsRegex("\nreturns  [_.,~=+^-]+\r\n"));
}

TEST_F(TerminalCurve, StandsInNoFile) {
  const ProgramResult result = RunProgram(run_, [] {
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
  });
  EXPECT_THAT(result.out, Not(HasSubstr("returns")));
  EXPECT_TRUE(IsAscii(result.out + result.err));
  EXPECT_THAT(result.out + result.err, Not(HasSubstr("\x1b")));
}

TEST_F(TerminalCurve, StandsInTheTableOfAComparisonWhereThereIsRoom) {
  ASSERT_EQ(RunProgram(run_).exit_code, 0);
  const std::vector<std::string> compare = {"compare", "made"};
  const TerminalCurve::Variables variables = {{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}};
  const std::string wide = Shown(compare, 120, variables);
  EXPECT_THAT(wide, ContainsRegex("best  returns +\r\n.*  (▁|▂|▃|▄|▅|▆|▇|█)+"));
  for (const std::string& line : Lines(wide)) EXPECT_LE(ColumnsOf(line), 100) << line;
  EXPECT_TRUE(IsAscii(Shown(compare, 60, variables)));
}

/// stderr is the terminal while it lives.
class StderrIs {
 public:
  explicit StderrIs(int descriptor) : before_(dup(STDERR_FILENO)) {
    dup2(descriptor, STDERR_FILENO);
  }
  ~StderrIs() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }
  StderrIs(const StderrIs&) = delete;
  StderrIs& operator=(const StderrIs&) = delete;

 private:
  int before_;
};

TEST(TerminalWidth, IsAskedForEveryTime) {
  Terminal terminal;
  std::vector<int> widths;
  {
    const StderrIs here(terminal.slave());
    StatusLine line(true);
    for (const unsigned short columns : {100, 30}) {
      terminal.SetWidth(columns);
      line.ShowNow([&](int width) {
        widths.push_back(width);
        return std::string("shown");
      });
    }
  }
  EXPECT_THAT(widths, testing::ElementsAre(99, 29));
  EXPECT_THAT(terminal.Text(), HasSubstr("\rshown\x1b[K"));
}

}  // namespace
}  // namespace foreplan::apps

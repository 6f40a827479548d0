// What commands show on a terminal while they work, and that they show nothing elsewhere.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "apps/program_testing.h"

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

}  // namespace
}  // namespace foreplan::apps

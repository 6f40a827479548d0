// An environment in another process, over a loopback socket: the example's own programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "apps/exit_codes.h"
#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Until it is true; false after two minutes.
template <typename Condition>
bool WaitFor(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

class SocketEnvironmentGate : public ProgramTest {
 protected:
  ~SocketEnvironmentGate() override { KillServer(); }

  /// Its port; port "0": any that is free. It is killed when it has read so many lines.
  std::string StartServer(const std::string& port, const std::string& name,
                          const std::string& lines) {
    server_ = StartOther(FOREPLAN_SOCKET_EXAMPLE, {"serve", port, lines}, name);
    EXPECT_TRUE(WaitFor([&] { return OutOf(name).find('\n') != std::string::npos; }));
    return OutOf(name).substr(0, OutOf(name).find('\n'));
  }
  void KillServer() {
    if (server_ == 0) return;
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = 0;
  }
  [[nodiscard]] std::vector<std::string> Rows() const {
    std::vector<std::string> rows;
    std::ifstream file(work() / "run/episodes.csv");
    for (std::string row; std::getline(file, row);) rows.push_back(row);
    return rows;
  }

 private:
  pid_t server_ = 0;
};

TEST_F(SocketEnvironmentGate, IsLearnedAndGoesOnAfterItsProcessWasKilled) {
  // Three episodes of 201 lines, and half of the fourth.
  const std::string port = StartServer("0", "server", "700");
  const pid_t learner = StartOther(FOREPLAN_SOCKET_EXAMPLE, {"learn", port, "run"}, "learner");
  const ProgramResult ended = Wait(learner, "learner");
  EXPECT_EQ(ended.exit_code, kRunFailed);
  EXPECT_THAT(ended.err, HasSubstr("the environment could not be reached for 2 s "
                                   "(environment.reconnect_seconds): port " +
                                   port + ": no connection"));
  KillServer();  // it is waited for
  // Reset and 95 steps were answered, the 96th was not: the episode is kept.
  EXPECT_THAT(Rows().back(), StartsWith("4,mpc,95,695,"));
  EXPECT_THAT(Rows().back(), HasSubstr(",failed,step 95: port " + port + ": no answer"));

  EXPECT_EQ(StartServer(port, "again", "0"), port);
  const pid_t resumed = StartOther(FOREPLAN_SOCKET_EXAMPLE, {"resume", port, "run"}, "resumed");
  const ProgramResult done = Wait(resumed, "resumed");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const std::vector<std::string> rows = Rows();
  ASSERT_EQ(rows.size(), 11U);  // a header and ten episodes
  // Every episode that was whole after the first four.
  double best = 0;
  for (size_t row = 5; row < rows.size(); ++row) {
    std::vector<std::string> cells(1);
    for (const char c : rows[row])
      c == ',' ? (void)cells.emplace_back() : cells.back().push_back(c);
    best = std::max(best, std::atof(cells[4].c_str()));
  }
  EXPECT_GE(best, 170);
}

}  // namespace
}  // namespace foreplan::apps

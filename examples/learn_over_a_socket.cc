// Learns to swing up a cart-pole that lives in another process: what is known of it comes over a
// loopback socket, a line for a line, and its state cannot be read, set or copied.
//
//   example_learn_over_a_socket                        both processes, a short run
//   example_learn_over_a_socket serve PORT [LINES]     the cart-pole alone; port 0: any, printed;
//                                                      killed when it has read so many lines
//   example_learn_over_a_socket learn PORT FOLDER [SEED]  the learner alone; a new run ...
//   example_learn_over_a_socket resume PORT FOLDER [SEED] ... that goes on after what ended it
//
// The protocol:  "reset SEED"  ->  "x theta v omega"
//                "step FORCE"  ->  "x theta v omega reward terminated"
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/foreplan.h"

namespace {

// --- A line at a time over TCP

class Connection {
 public:
  explicit Connection(int socket) : socket_(socket) {
    const int on = 1;  // short lines are sent at once
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// False when the other side is gone.
  bool Send(std::string line) {
    line += '\n';
    return send(socket_, line.data(), line.size(), MSG_NOSIGNAL) == std::ssize(line);
  }
  bool Receive(std::string& line) {
    line.clear();
    for (char c = 0; recv(socket_, &c, 1, 0) == 1; line += c) {
      if (c == '\n') return true;
    }
    return false;
  }

 private:
  int socket_;
};

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// --- The other process. Anything that speaks the protocol would do.

/// A socket that listens; port 0: any that is free, which `port` then is.
int Listen(int& port) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = Loopback(port);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listening, generic, size) != 0 || listen(listening, 1) != 0) {
    throw foreplan::RunError(fmt::format("port {}: cannot listen", port));
  }
  getsockname(listening, generic, &size);
  port = ntohs(address.sin_port);
  return listening;
}

void Serve(int listening, int64_t lines = 0) {
  const foreplan::Task task = foreplan::Task::Load("cartpole_closed_form").first;
  const std::unique_ptr<foreplan::System> system = task.MakeSystem();
  std::array<double, 4> before{};
  std::array<double, 4> after{};
  for (;;) {  // one client after another
    Connection client(accept(listening, nullptr, nullptr));
    for (std::string line; client.Receive(line);) {
      if (lines > 0 && --lines == 0) std::raise(SIGKILL);
      std::istringstream words(line);
      std::string command;
      double value = 0;
      words >> command >> value;
      double reward = 0;
      uint8_t terminated = 0;
      if (command == "reset") {
        system->Reset(foreplan::Key{static_cast<uint64_t>(value), 0});
        system->Observe(after);
      } else {
        before = after;
        (void)system->Step({&value, 1});
        system->Observe(after);
        task.reward().Evaluate({.rows = 1,
                                .observation = before.data(),
                                .action = &value,
                                .next_observation = after.data()},
                               &reward, &terminated);
      }
      // 17 digits: the numbers arrive as they were.
      std::string answer =
          fmt::format("{:.17g} {:.17g} {:.17g} {:.17g}", after[0], after[1], after[2], after[3]);
      if (command == "step") answer += fmt::format(" {:.17g} {}", reward, terminated);
      if (!client.Send(answer)) break;
    }
  }
}

// --- The environment, as the library sees it

class RemoteCartPole final : public foreplan::Environment {
 public:
  explicit RemoteCartPole(int port) : port_(port) {
    spec_.dt = 0.04;
    spec_.observation = {
        {"slider", "m"}, {"hinge", "rad"}, {"slider_velocity", "m/s"}, {"hinge_velocity", "rad/s"}};
    spec_.action = {{"force", "N"}};
    spec_.action_low = {-3};
    spec_.action_high = {3};
  }

  const foreplan::EnvironmentSpec& spec() const override { return spec_; }

  // Every episode may begin with a new connection: that is how one that was lost comes back.
  void Reset(foreplan::Key key) override {
    if (!connection_) Connect();
    const std::vector<double> answer = Ask(fmt::format("reset {}", key.seed % 1'000'000), 4);
    observation_ = answer;
  }

  foreplan::StepOutcome Step(std::span<const double> action) override {
    const std::vector<double> answer = Ask(fmt::format("step {:.17g}", action[0]), 6);
    observation_.assign(answer.begin(), answer.begin() + 4);
    foreplan::StepOutcome outcome;
    outcome.reward = answer[4];  // it pays
    if (answer[5] != 0) outcome.end = foreplan::StepEnd::kTerminated;
    return outcome;
  }

  void Observe(std::span<double> observation) const override {
    std::copy(observation_.begin(), observation_.end(), observation.begin());
  }

 private:
  void Connect() {
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(port_);
    auto connection = std::make_unique<Connection>(client);
    if (connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw foreplan::EnvironmentFailure(fmt::format("port {}: no connection", port_));
    }
    connection_ = std::move(connection);
  }

  // An EnvironmentFailure keeps the episode as far as it came; the run tries again.
  std::vector<double> Ask(const std::string& question, size_t numbers) {
    std::string line;
    if (!connection_ || !connection_->Send(question) || !connection_->Receive(line)) {
      connection_.reset();
      throw foreplan::EnvironmentFailure(fmt::format("port {}: no answer", port_));
    }
    std::istringstream words(line);
    std::vector<double> answer(numbers);
    for (double& number : answer) words >> number;
    if (!words) throw foreplan::RunError(fmt::format("found '{}', no {} numbers", line, numbers));
    return answer;
  }

  int port_;
  foreplan::EnvironmentSpec spec_;
  std::unique_ptr<Connection> connection_;
  std::vector<double> observation_;
};

// --- The learner

foreplan::Experiment MakeExperiment(int port, int seed, int episodes) {
  // What it should do is known, how it moves is not. (Without a reward here, which would be learned
  // from what the environment pays.)
  foreplan::Task task({.name = "cartpole_over_a_socket",
                       .summary = "Swing up a cart-pole in another process",
                       .environment = std::make_shared<RemoteCartPole>(port),
                       .reward = foreplan::ExpressionText{.text = "pets_cartpole"},
                       .episode_length = 200,
                       .encoding = {.sin_cos = {"hinge"}, .omit = {"slider"}}});
  foreplan::Config config = foreplan::Config::FromString(R"(
    environment.reconnect_seconds = 2
    model.width = 128
    fit = {min_steps = 250, max_steps = 250}
    mpc.refit_every = 50
    planner.icem.horizon = 25
    planner.icem.execute = "best")",
                                                         "learn_over_a_socket");
  foreplan::RunOptions run{
      .algorithm = "mpc", .planner = "icem", .seed = seed, .episodes = episodes};
  return {std::move(task), std::move(config), run};
}

int Learn(int port, const std::string& folder, bool resume, int seed, int episodes) {
  foreplan::RunSession session(MakeExperiment(port, seed, episodes), 2);
  if (resume) {
    session.Resume(folder);
  } else {
    session.Create(folder);
  }
  session.Run();
  double best = 0;
  for (const foreplan::EpisodeRow& episode : session.log().episodes()) {
    fmt::print("episode {}: return {:.1f}, {} {}\n", episode.episode, episode.episode_return,
               foreplan::NameOf(episode.end), episode.note);
    best = std::max(best, episode.episode_return);
  }
  return best > 100 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  try {
    if (argc == 1) {
      int port = 0;
      const int listening = Listen(port);
      const pid_t server = fork();
      if (server == 0) Serve(listening);
      close(listening);
      const std::string folder = fmt::format("learn_over_a_socket_{}", getpid());
      const int code = Learn(port, folder, false, 1, 3);
      kill(server, SIGKILL);
      waitpid(server, nullptr, 0);
      std::filesystem::remove_all(folder);
      return code;
    }
    int port = std::stoi(words.at(2));
    if (words[1] == "serve") {
      const int listening = Listen(port);
      fmt::print("{}\n", port);
      std::fflush(stdout);
      Serve(listening, words.size() > 3 ? std::stoi(words[3]) : 0);
    }
    const int seed = words.size() > 4 ? std::stoi(words[4]) : 1;
    return Learn(port, words.at(3), words[1] == "resume", seed, 10);
  } catch (const foreplan::RunError& error) {  // what was learned is kept
    fmt::print(stderr, "{}\n", error.what());
    return 3;
  }
}

#include "apps/interrupt.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>
#include <thread>

#include "apps/exit_codes.h"

namespace foreplan::apps {
namespace {

std::atomic<bool> caught = false;  // loops look at the token
std::stop_source interrupted;

bool IsIgnored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// Without a lock that another thread may hold.
void Say(std::string_view text) {
  static_cast<void>(!write(STDERR_FILENO, text.data(), text.size()));
}

void WaitForSignals(const sigset_t& signals) {
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (caught && interrupted.request_stop()) continue;
    if (!caught) Say("foreplan: interrupted; nothing is written\n");
    _exit(kInterrupted);
  }
}

}  // namespace

void TakeSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (!IsIgnored(SIGHUP)) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals] { WaitForSignals(signals); }).detach();
  std::signal(SIGPIPE, SIG_IGN);
}

std::stop_token CatchInterrupts() {
  caught = true;
  return interrupted.get_token();
}

}  // namespace foreplan::apps

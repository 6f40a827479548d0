#include "python/bindings/signal_watch.h"

#include <fcntl.h>
#include <nanobind/nanobind.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace foreplan::python {
namespace {

/// Those that a program may wait for; faults stay where they happen.
sigset_t Signals() {
  sigset_t set;
  sigfillset(&set);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
    sigdelset(&set, fault);
  }
  return set;
}

/// The thread that signals are delivered to, of this process: a fork has none and gets its own.
class Watcher {
 public:
  /// Leaked: its thread sleeps until the process ends.
  static Watcher& OfProcess() {
    static std::mutex mutex;
    static Watcher* watcher = nullptr;
    static pid_t process = 0;
    const std::lock_guard lock(mutex);
    if (watcher == nullptr || process != getpid()) {
      watcher = new Watcher;
      process = getpid();
    }
    return *watcher;
  }

  [[nodiscard]] int descriptor() const { return pipe_[1]; }

  /// Ctrl-C goes there from now on, what has arrived before to where it went, which it gives.
  std::stop_source Send(std::stop_source stop) {
    const std::lock_guard lock(mutex_);
    Deliver();
    std::swap(stop, stop_);
    return stop;
  }

 private:
  Watcher() {
    if (pipe2(pipe_.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
      throw std::runtime_error("no pipe for signals");
    }
    sigset_t before;
    const sigset_t all = Signals();
    pthread_sigmask(SIG_UNBLOCK, &all, &before);
    std::thread([this] { Listen(); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  /// The number of a signal that has arrived; 0: none.
  [[nodiscard]] int Arrived() const {
    unsigned char number = 0;
    return read(pipe_[0], &number, 1) == 1 ? number : 0;
  }

  /// With the lock: what comes while a call works ends no later one.
  void Deliver() {
    while (const int number = Arrived()) {
      if (number == SIGINT) stop_.request_stop();
    }
  }

  void Listen() {
    for (;;) {
      pollfd readable{.fd = pipe_[0], .events = POLLIN, .revents = 0};
      if (poll(&readable, 1, -1) != 1) continue;  // a handler ran on this thread
      const std::lock_guard lock(mutex_);
      Deliver();
    }
  }

  std::array<int, 2> pipe_{};
  std::mutex mutex_;
  std::stop_source stop_{std::nostopstate};
};

bool IsMainThread() {
  static const nanobind::handle threading = nanobind::module_::import_("threading").release();
  return threading.attr("current_thread")().is(threading.attr("main_thread")());
}

/// Gives the one before.
int SetWakeup(int descriptor) {
  static const nanobind::handle set =
      nanobind::object(nanobind::module_::import_("signal").attr("set_wakeup_fd")).release();
  return nanobind::cast<int>(set(descriptor, nanobind::arg("warn_on_full_buffer") = false));
}

sigset_t Block() {
  const sigset_t all = Signals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &all, &before);
  return before;
}

}  // namespace

SignalWatch::SignalWatch(std::stop_source stop) : is_main_(IsMainThread()), before_() {
  if (is_main_) {
    Watcher& watcher = Watcher::OfProcess();
    stop_before_ = watcher.Send(std::move(stop));
    wakeup_before_ = SetWakeup(watcher.descriptor());
  }
  before_ = Block();
}

SignalWatch::~SignalWatch() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  if (!is_main_) return;
  SetWakeup(wakeup_before_);
  static_cast<void>(Watcher::OfProcess().Send(std::move(stop_before_)));
}

BlockedSignals::BlockedSignals() : before_(Block()) {}
BlockedSignals::~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

TakenSignals::TakenSignals() {
  const sigset_t all = Signals();
  pthread_sigmask(SIG_UNBLOCK, &all, &before_);
}
TakenSignals::~TakenSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace foreplan::python

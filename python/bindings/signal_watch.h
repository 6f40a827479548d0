// Ctrl-C while C++ works.
//
// A signal's handler runs on the stack of whatever thread it is delivered to, and a thread within a
// matrix kernel may use that register for other things. While C++ works, its threads therefore
// block signals; they arrive at a thread that does nothing else, where Python's own handler notes
// them and writes their numbers to its wake-up descriptor, which is ours for as long.
#pragma once

#include <csignal>
#include <stop_token>

namespace foreplan::python {

/// While it lives: Ctrl-C asks `stop` to stop, and the calling thread blocks signals. Where it is
/// not Python's main thread, whose signals are none of its business, it does no more than the
/// latter. Made and ended with the interpreter's lock.
class SignalWatch {
 public:
  explicit SignalWatch(std::stop_source stop);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  bool is_main_;
  int wakeup_before_ = -1;
  std::stop_source stop_before_{std::nostopstate};  // of a call that this one is within
  sigset_t before_;
};

/// While it lives the calling thread blocks signals; threads that it makes inherit that.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

/// While it lives the calling thread takes signals again: Python code runs, which may wait, or
/// start processes.
class TakenSignals {
 public:
  TakenSignals();
  ~TakenSignals();
  TakenSignals(const TakenSignals&) = delete;
  TakenSignals& operator=(const TakenSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace foreplan::python

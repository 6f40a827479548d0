#include "foreplan/systems/mujoco/mujoco_guard.h"

#include <mujoco/mujoco.h>

#include <atomic>
#include <cctype>
#include <mutex>
#include <string>
#include <string_view>

namespace foreplan {
namespace {

thread_local int depth = 0;  // guards that live on this thread

std::mutex mutex;             // held while handlers are exchanged
std::atomic<int> threads{0};  // that have a guard; handlers are ours while there are some

#if mjVERSION_HEADER >= 4000000

std::atomic<mjfLogHandler> of_host{nullptr};

void Handle(const mjLogMessage* message) {
  if (depth == 0 || message->level < mjLOG_WARNING) {
    of_host.load()(message);
    return;
  }
  if (message->level < mjLOG_ERROR) return;
  std::string text = message->subject;
  if (message->body != nullptr) text += std::string(" ") + message->body;
  throw MujocoError(MujocoMessage(text));
}

void Install() {
  // There always is a handler; this finds out which before it can be asked for.
  const mjfLogHandler found = mju_setLogHandler(nullptr);
  of_host = found;
  mju_setLogHandler(Handle);
}

void Restore() {
  const mjfLogHandler found = mju_setLogHandler(of_host);
  if (found != Handle) mju_setLogHandler(found);  // somebody set another one meanwhile
}

#else

using Handler = void (*)(const char*);
std::atomic<Handler> error_of_host{nullptr};
std::atomic<Handler> warning_of_host{nullptr};

void HandleError(const char* message) {
  if (depth > 0) throw MujocoError(MujocoMessage(message));
  if (const Handler host = error_of_host) return host(message);
  mju_user_error = nullptr;
  mju_error(message);  // tells, and ends the process
}

void HandleWarning(const char* message) {
  if (depth > 0) return;
  if (const Handler host = warning_of_host) return host(message);
  mju_user_warning = nullptr;
  mju_warning(message);
  mju_user_warning = HandleWarning;
}

void Install() {
  error_of_host = mju_user_error;
  warning_of_host = mju_user_warning;
  mju_user_error = HandleError;
  mju_user_warning = HandleWarning;
}

void Restore() {
  // Somebody may have set others meanwhile.
  if (mju_user_error == HandleError) mju_user_error = error_of_host;
  if (mju_user_warning == HandleWarning) mju_user_warning = warning_of_host;
}

#endif

}  // namespace

std::string MujocoMessage(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

MujocoGuard::MujocoGuard() {
  if (++depth > 1) return;
  // One more of several needs no lock.
  int others = threads;
  while (others > 0) {
    if (threads.compare_exchange_weak(others, others + 1)) return;
  }
  const std::scoped_lock lock(mutex);
  if (threads == 0) Install();
  ++threads;
}

MujocoGuard::~MujocoGuard() {
  if (--depth > 0) return;
  int all = threads;
  while (all > 1) {
    if (threads.compare_exchange_weak(all, all - 1)) return;
  }
  const std::scoped_lock lock(mutex);
  if (--threads == 0) Restore();
}

}  // namespace foreplan

#include "apps/browser.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/spawn_settings.h"
#include "foreplan/data/files.h"

extern char** environ;

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestParent = 36;                // characters of the folder of temporary files
constexpr auto kPatience = std::chrono::seconds(2);  // with a browser that is told to end

std::string Cause(int error) { return std::generic_category().message(error); }

bool IsProgram(const fs::path& file) {
  std::error_code error;
  return fs::is_regular_file(file, error) && access(file.c_str(), X_OK) == 0;
}

/// "": not found.
std::string OnPath(const std::string& name) {
  if (name.find('/') != std::string::npos) return IsProgram(name) ? name : "";
  const char* folders = std::getenv("PATH");
  std::istringstream list(folders == nullptr ? "" : folders);
  for (std::string folder; std::getline(list, folder, ':');) {
    if (IsProgram(fs::path(folder) / name)) return (fs::path(folder) / name).string();
  }
  return "";
}

/// Without anything but the page: no network services, and pictures drawn in software, which looks
/// the same on every machine.
std::vector<std::string> Flags(const fs::path& profile) {
  std::vector<std::string> flags = {"--headless",
                                    "--disable-gpu",
                                    "--use-angle=swiftshader",
                                    "--enable-unsafe-swiftshader",
                                    "--disable-quic",
                                    "--no-proxy-server",
                                    "--no-first-run",
                                    "--no-default-browser-check",
                                    "--disable-background-networking",
                                    "--disable-component-update",
                                    "--disable-sync",
                                    "--disable-extensions",
                                    "--disable-breakpad",
                                    "--disable-dev-shm-usage",
                                    "--disable-background-timer-throttling",
                                    "--password-store=basic",
                                    "--window-size=1200,900",
                                    "--user-data-dir=" + profile.string()};
  if (geteuid() == 0) flags.emplace_back("--no-sandbox");  // it refuses root else
  return flags;
}

/// Ours, but for where temporary files are made: a browser that is ended leaves some.
std::vector<std::string> Environment(const fs::path& folder) {
  std::vector<std::string> variables = {"TMPDIR=" + folder.string()};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("TMPDIR=")) variables.emplace_back(*variable);
  }
  return variables;
}

/// As the system takes them; `words` must outlive them.
std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// The browser puts a socket below it, whose path the system allows no more than 107 characters.
fs::path NewFolder() {
  fs::path parent = fs::temp_directory_path();
  if (parent.string().size() > kLongestParent) parent = "/tmp";
  std::string name = (parent / "foreplan-browser-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw RunError(fmt::format("{}: the folder cannot be made: {}", name, Cause(errno)));
  }
  return name;
}

}  // namespace

std::string FindBrowser() {
  const char* wanted = std::getenv("FOREPLAN_BROWSER");
  if (wanted != nullptr && *wanted != '\0') {
    std::string found = OnPath(wanted);
    if (!found.empty()) return found;
    throw InputError(
        fmt::format("FOREPLAN_BROWSER: found '{}', expected the program of a Chromium", wanted));
  }
  for (const char* name :
       {"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}) {
    std::string found = OnPath(name);
    if (!found.empty()) return found;
  }
  throw InputError(
      "found no browser, expected chromium, chromium-browser or google-chrome on the PATH (on "
      "Debian: apt-get install chromium), or another Chromium that FOREPLAN_BROWSER names");
}

Browser::Browser(const std::string& program, const std::string& url) : folder_(NewFolder()) {
  try {
    // Other users see the words of a command, but not this file.
    const fs::path page = folder_ / "begin.html";
    WriteFileAtomically(
        page, fmt::format("<!doctype html><title>foreplan</title><meta http-equiv=\"refresh\" "
                          "content=\"0; url={}\">",
                          url));
    Start(program, "file://" + page.string());
  } catch (...) {
    End();
    throw;
  }
}

Browser::~Browser() { End(); }

void Browser::Start(const std::string& program, const std::string& page) {
  std::vector<std::string> words = Flags(folder_ / "profile");
  words.insert(words.begin(), program);
  words.push_back(page);
  std::vector<std::string> variables = Environment(folder_);
  SpawnSettings settings;
  settings.Open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  settings.Open(STDERR_FILENO, folder_ / "messages", O_WRONLY | O_CREAT | O_APPEND);
  const int error = posix_spawn(&child_, program.c_str(), settings.actions(), settings.attributes(),
                                Pointers(words).data(), Pointers(variables).data());
  if (error == 0) return;
  child_ = -1;
  throw InputError(
      fmt::format("{}: found a browser that cannot be started: {}", program, Cause(error)));
}

bool Browser::HasEnded() {
  if (child_ < 0) return true;
  siginfo_t ended{};
  return waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == child_;
}

std::string Browser::LastWords() const {
  std::ifstream messages(folder_ / "messages");
  std::string last;
  for (std::string line; std::getline(messages, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

void Browser::End() {
  if (child_ > 0) {
    kill(-child_, SIGTERM);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!HasEnded() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill(-child_, SIGKILL);  // what it has started, too
    int status = 0;
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
  }
  std::error_code error;
  for (int tries = 0; tries < 20; ++tries) {  // helpers may write a last file
    fs::remove_all(folder_, error);
    if (!error && !fs::exists(folder_, error)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace foreplan::apps

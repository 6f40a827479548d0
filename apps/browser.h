// The user's Chromium, headless: started for one page, ended on every way out.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace foreplan::apps {

/// FOREPLAN_BROWSER, a file or a name on the PATH; else the first of Chromium's names that is
/// there. Throws InputError, which says what to install, where there is none.
[[nodiscard]] std::string FindBrowser();

/// Works in a folder of its own for profile and files, which is removed. Only what it started
/// itself is ended with it.
class Browser {
 public:
  /// Opens `url`; the address is not seen in the list of processes. Throws InputError where
  /// `program` cannot be started.
  Browser(const std::string& program, const std::string& url);
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// It has ended by itself.
  [[nodiscard]] bool HasEnded();
  /// The last line that it wrote, "" for none.
  [[nodiscard]] std::string LastWords() const;

 private:
  void Start(const std::string& program, const std::string& page);
  void End();

  std::filesystem::path folder_;
  pid_t child_ = -1;
};

}  // namespace foreplan::apps

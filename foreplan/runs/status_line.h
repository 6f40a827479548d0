// The line that rewrites itself where stderr is a terminal; elsewhere there is none.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace foreplan {

/// Whether a line can be rewritten there: a terminal that is not dumb.
[[nodiscard]] bool StderrIsTerminal();

/// "12 s", "1:23 min", "1:02 h"; rounded up.
[[nodiscard]] std::string DurationText(double seconds);

/// The last line of a terminal. Not for several threads at a time.
class StatusLine {
 public:
  /// Shows nothing unless `visible`.
  explicit StatusLine(bool visible = StderrIsTerminal()) : visible_(visible) {}
  ~StatusLine() { Close(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// At most ten times a second; asks for the text, of at most `width` columns, only when it shows
  /// it.
  void Show(const std::function<std::string(int width)>& text);
  /// The same at once.
  void ShowNow(const std::function<std::string(int width)>& text);
  /// Leaves the line behind, so that other messages start on their own line.
  void Close();
  /// Wipes it, so that other messages stand in its place.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool visible_;
  bool open_ = false;
  Clock::time_point last_shown_;
};

/// What is being done, how much of it is done of how much, at which rate, and what time is left,
/// "zero action  3.5/10 episodes  1.2 episodes/s  6 s left"; without a unit the share,
/// "fitting  43 %  12 s left". What stands last is left out until the rest fits.
[[nodiscard]] std::string WorkLine(std::string_view what, double done, double total,
                                   std::string_view unit, double seconds, int width);

/// Work of known size, from now on, on a status line.
class WorkProgress {
 public:
  WorkProgress(std::string what, double total, std::string unit, StatusLine& line);
  ~WorkProgress() { line_.Clear(); }
  WorkProgress(const WorkProgress&) = delete;
  WorkProgress& operator=(const WorkProgress&) = delete;

  /// That much is done by now.
  void Show(double done);
  /// For a message in its place.
  void Clear() { line_.Clear(); }

 private:
  std::string what_;
  double total_;
  std::string unit_;
  StatusLine& line_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace foreplan

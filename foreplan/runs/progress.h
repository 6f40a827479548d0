// The progress display: one line that rewrites itself on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>

#include "foreplan/runs/status_line.h"
#include "foreplan/runs/terminal_style.h"

namespace foreplan {

struct ProgressState {
  int episode = 0;   // under way, from 1
  int episodes = 0;  // planned in all; 0 when the run is bounded by steps
  int step = 0;      // in this episode
  int steps = 0;     // of an episode
  int total_steps = 0;
  int max_total_steps = 0;               // 0: none
  double episode_return = 0;             // so far
  std::optional<double> last_return;     // of the last whole episode
  std::optional<double> model_error;     // one-step error on new data [target standard deviations]
  double decisions_per_second = 0;       // of this episode; 0: not yet known
  std::string activity;                  // "acting", "fitting"
  std::string note;                      // of a finished episode, "" or what diverged
  std::span<const double> returns = {};  // of the finished ones, NaN for those that are not whole;
                                         // for the length of a call
};

/// The line of a terminal; what matters least is left out until it fits into `width` columns. The
/// curve of the returns takes what is left of them.
std::string ProgressLine(const ProgressState& state, std::optional<double> seconds_left, int width,
                         const TerminalStyle& style = {});

/// The line of a finished episode where there is no terminal.
std::string EpisodeLine(const ProgressState& state, std::optional<double> seconds_left);

/// Writes to stderr. On a terminal at most ten times a second one rewritten line with episode,
/// step, return, curve of returns, model error, decisions per second and time left; elsewhere one
/// line per episode.
class Progress {
 public:
  enum class Mode { kAuto, kTerminal, kPlain, kSilent };
  explicit Progress(Mode mode = Mode::kAuto);

  void Show(const ProgressState& state);
  void FinishEpisode(const ProgressState& state);
  /// Ends the rewritten line, so that other messages start on their own line.
  void Close() { line_.Close(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Finished {
    double seconds = 0;
    int steps = 0;
  };

  [[nodiscard]] std::optional<double> SecondsLeft(const ProgressState& state) const;

  Mode mode_;
  TerminalStyle style_;
  StatusLine line_;
  Clock::time_point episode_start_;
  std::deque<Finished> recent_;  // the last few episodes, newest last
};

}  // namespace foreplan

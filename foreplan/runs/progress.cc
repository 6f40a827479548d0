#include "foreplan/runs/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "foreplan/runs/message.h"
#include "foreplan/runs/plain_text.h"
#include "foreplan/runs/sparkline.h"

namespace foreplan {
namespace {

constexpr size_t kRecentEpisodes = 3;

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string Count(int current, int total) {
  return total > 0 ? fmt::format("{}/{}", current, total) : fmt::format("{}", current);
}

struct Part {
  std::string text;
  int priority;  // the highest number is left out first
  std::optional<Color> color = std::nullopt;
};

constexpr std::string_view kBetween = "  ";
constexpr int kCurvePriority = 6;
constexpr int kNarrowestCurve = 4;  // columns, or as many as there are returns
constexpr int kWidestCurve = 32;

int CurveColumns(std::span<const double> returns, int most) {
  return std::min(static_cast<int>(returns.size()), most);
}

/// In their order on the line; the curve as narrow as it may be.
std::vector<Part> PartsOf(const ProgressState& state, std::optional<double> seconds_left,
                          const TerminalStyle& style) {
  std::vector<Part> parts;
  parts.push_back({"episode " + Count(state.episode, state.episodes), 0, Color::kBold});
  if (!state.activity.empty()) parts.push_back({state.activity, 5});
  parts.push_back({"step " + Count(state.step, state.steps), 2});
  if (state.max_total_steps > 0) {
    parts.push_back({"in all " + Count(state.total_steps, state.max_total_steps), 7});
  }
  parts.push_back({fmt::format("return {:.1f}", state.episode_return), 1});
  if (state.last_return) parts.push_back({fmt::format("last {:.1f}", *state.last_return), 4});
  if (state.returns.size() > 1) {
    parts.push_back(
        {Sparkline(state.returns, kNarrowestCurve, style.glyphs), kCurvePriority, Color::kCurve});
  }
  if (state.model_error) {
    parts.push_back({fmt::format("model error {:.3g}", *state.model_error), 8});
  }
  if (state.decisions_per_second > 0) {
    parts.push_back({fmt::format("{:.0f} decisions/s", state.decisions_per_second), 9});
  }
  if (seconds_left) parts.push_back({DurationText(*seconds_left) + " left", 3, Color::kFaint});
  return parts;
}

int ColumnsOfAll(const std::vector<Part>& parts) {
  size_t columns = (parts.size() - 1) * kBetween.size();
  for (const Part& part : parts) columns += ColumnsOf(part.text);
  return static_cast<int>(columns);
}

}  // namespace

std::string ProgressLine(const ProgressState& state, std::optional<double> seconds_left, int width,
                         const TerminalStyle& style) {
  std::vector<Part> parts = PartsOf(state, seconds_left, style);
  while (ColumnsOfAll(parts) > width && parts.size() > 1) {
    parts.erase(std::ranges::max_element(parts, {}, &Part::priority));
  }
  if (parts.size() == 1) {
    parts.front().text.resize(
        std::min(parts.front().text.size(), static_cast<size_t>(std::max(0, width))));
  }
  const int room = width - ColumnsOfAll(parts);
  std::string line;
  for (Part& part : parts) {
    if (part.priority == kCurvePriority) {
      const int columns = CurveColumns(state.returns, kNarrowestCurve) + room;
      part.text = Sparkline(state.returns, std::min(columns, kWidestCurve), style.glyphs);
    }
    if (!line.empty()) line += kBetween;
    line += part.color ? Colored(part.text, *part.color, style) : part.text;
  }
  return line;
}

std::string EpisodeLine(const ProgressState& state, std::optional<double> seconds_left) {
  std::string line =
      fmt::format("episode {}: return {:.2f}, {} steps", Count(state.episode, state.episodes),
                  state.episode_return, state.step);
  if (state.max_total_steps > 0) {
    line += fmt::format(" ({} in all)", Count(state.total_steps, state.max_total_steps));
  }
  if (state.model_error) line += fmt::format(", model error {:.3g}", *state.model_error);
  if (state.decisions_per_second > 0) {
    line += fmt::format(", {:.0f} decisions/s", state.decisions_per_second);
  }
  if (seconds_left) line += fmt::format(", {} left", DurationText(*seconds_left));
  if (!state.note.empty()) line += fmt::format("; diverged: {}", state.note);
  return line;
}

Progress::Progress(Mode mode)
    : mode_(mode != Mode::kAuto  ? mode
            : StderrIsTerminal() ? Mode::kTerminal
                                 : Mode::kPlain),
      style_(StyleOf(STDERR_FILENO)),
      line_(mode_ == Mode::kTerminal),
      episode_start_(Clock::now()) {}

void Progress::Show(const ProgressState& state) {
  line_.Show([&](int width) { return ProgressLine(state, SecondsLeft(state), width, style_); });
}

void Progress::FinishEpisode(const ProgressState& state) {
  const Clock::time_point now = Clock::now();
  // The first episode acts at random; its time says nothing about those that plan and fit.
  if (state.episode > 1) recent_.push_back({Seconds(now - episode_start_), state.step});
  if (recent_.size() > kRecentEpisodes) recent_.pop_front();
  episode_start_ = now;

  line_.ShowNow([&](int width) { return ProgressLine(state, SecondsLeft(state), width, style_); });
  if (mode_ == Mode::kPlain) {
    ProgressState next = state;
    ++next.episode;
    next.step = 0;
    WriteToStderr(EpisodeLine(state, SecondsLeft(next)) + "\n");
  }
}

std::optional<double> Progress::SecondsLeft(const ProgressState& state) const {
  double seconds = 0;
  double steps = 0;
  for (const Finished& episode : recent_) {
    seconds += episode.seconds;
    steps += episode.steps;
  }
  if (steps == 0) return std::nullopt;

  // remaining time = remaining episodes x recent time per episode, or the same per step
  std::optional<double> left;
  if (state.episodes > 0) {
    const double done = state.steps > 0 ? static_cast<double>(state.step) / state.steps : 0;
    const double episodes_left = std::max(0.0, state.episodes - state.episode + 1 - done);
    left = episodes_left * seconds / static_cast<double>(recent_.size());
  }
  if (state.max_total_steps > 0) {
    const double by_steps = (state.max_total_steps - state.total_steps) * seconds / steps;
    left = std::min(left.value_or(by_steps), by_steps);
  }
  return left && *left > 0 ? left : std::nullopt;
}

}  // namespace foreplan

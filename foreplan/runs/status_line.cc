#include "foreplan/runs/status_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "foreplan/core/seconds_since.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/terminal_style.h"

namespace foreplan {
namespace {

constexpr std::chrono::milliseconds kShortestInterval{100};
constexpr std::string_view kEraseToEndOfLine = "\x1b[K";

}  // namespace

bool StderrIsTerminal() { return StyleOf(STDERR_FILENO).can_rewrite; }

std::string DurationText(double seconds) {
  const auto whole = static_cast<long>(std::ceil(std::max(0.0, seconds)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole % 3600 / 60);
}

void StatusLine::Show(const std::function<std::string(int width)>& text) {
  if (visible_ && Clock::now() - last_shown_ >= kShortestInterval) ShowNow(text);
}

void StatusLine::ShowNow(const std::function<std::string(int width)>& text) {
  if (!visible_) return;
  // A full last column would wrap on some terminals.
  WriteToStderr(fmt::format("\r{}{}", text(TerminalWidth(STDERR_FILENO) - 1), kEraseToEndOfLine));
  open_ = true;
  last_shown_ = Clock::now();
}

void StatusLine::Close() {
  if (std::exchange(open_, false)) WriteToStderr("\n");
}

void StatusLine::Clear() {
  if (std::exchange(open_, false)) WriteToStderr(fmt::format("\r{}", kEraseToEndOfLine));
}

std::string WorkLine(std::string_view what, double done, double total, std::string_view unit,
                     double seconds, int width) {
  std::vector<std::string> parts = {std::string(what)};
  if (unit.empty()) {
    parts.push_back(fmt::format("{:.0f} %", std::floor(100 * done / total)));
  } else {
    parts.push_back(fmt::format("{:.3g}/{:g} {}", std::floor(10 * done) / 10, total, unit));
  }
  if (done > 0 && seconds > 0) {
    // remaining time = remaining work x time per work so far
    const double left = (total - done) * seconds / done;
    if (!unit.empty()) parts.push_back(fmt::format("{:.2g} {}/s", done / seconds, unit));
    if (left > 0) parts.push_back(DurationText(left) + " left");
  }
  std::string line;
  for (const std::string& part : parts) {
    const std::string more = (line.empty() ? "" : "  ") + part;
    if (static_cast<int>(line.size() + more.size()) > width) break;
    line += more;
  }
  return line;
}

WorkProgress::WorkProgress(std::string what, double total, std::string unit, StatusLine& line)
    : what_(std::move(what)), total_(total), unit_(std::move(unit)), line_(line) {
  Show(0);
}

void WorkProgress::Show(double done) {
  line_.Show(
      [&](int width) { return WorkLine(what_, done, total_, unit_, SecondsSince(start_), width); });
}

}  // namespace foreplan

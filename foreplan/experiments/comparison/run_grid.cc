#include "foreplan/experiments/comparison/run_grid.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/experiments/comparison/measure.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/status_line.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// What the runs of one cell have of their own.
struct GridCell {
  std::string name;  // of its folder, "" until something is its own
  RunFlags flags;
};

std::string AsFileName(std::string text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.=+";
  std::ranges::replace_if(
      text, [&](char c) { return kAllowed.find(c) == std::string_view::npos; }, '_');
  return text;
}

/// Every cell once per value.
template <typename Set>
std::vector<GridCell> Times(const std::vector<GridCell>& cells,
                            const std::vector<std::string>& values, const Set& set) {
  if (values.empty()) return cells;
  std::vector<GridCell> product;
  for (const GridCell& cell : cells) {
    for (const std::string& value : values) {
      product.push_back(cell);
      GridCell& made = product.back();
      made.name += (made.name.empty() ? "" : "+") + AsFileName(value);
      set(made.flags, value);
    }
  }
  return product;
}

std::vector<GridCell> CellsOf(const RunGrid& grid) {
  std::vector<GridCell> cells = {{.name = "", .flags = grid.flags}};
  cells = Times(cells, grid.algorithms, [](auto& flags, auto& name) { flags.algorithm = name; });
  cells = Times(cells, grid.planners, [](auto& flags, auto& name) { flags.planner = name; });
  for (const std::string& varied : grid.varied) {
    cells = Times(cells, AssignmentsOf(varied),
                  [](auto& flags, auto& text) { flags.assignments.push_back(text); });
  }
  if (cells.front().name.empty()) cells.front().name = "runs";
  return cells;
}

/// Runs of another grid in the same folder would be taken for these; seeds may be added.
void CheckFolder(const RunGrid& grid) {
  const auto number = [](const std::optional<int>& value) {
    return value ? Finding(*value) : Finding(nullptr);
  };
  Finding settings = {{"task", grid.task},
                      {"algorithms", grid.algorithms},
                      {"planners", grid.planners},
                      {"varied", grid.varied},
                      {"settings", grid.flags.assignments},
                      {"model", grid.flags.model.value_or("")},
                      {"episodes", number(grid.flags.episodes)},
                      {"steps", number(grid.flags.steps)}};
  const fs::path file = grid.folder / "comparison.json";
  const Finding found = KeptFinding(file, [&] { return settings; });
  if (found == settings) return;
  throw InputError(fmt::format("{}: found the comparison {}, expected {}; use another --out",
                               file.string(), found.dump(), settings.dump()));
}

}  // namespace

std::vector<std::string> AssignmentsOf(const std::string& varied) {
  const size_t equals = varied.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError(fmt::format("--vary: found '{}', expected KEY=a,b", varied));
  }
  const std::string key = varied.substr(0, equals);
  std::vector<std::string> assignments;
  std::string value;
  int depth = 0;   // of brackets
  char quote = 0;  // that is open
  const auto end_value = [&] {
    if (value.empty()) {
      throw InputError(
          fmt::format("--vary: found an empty value in '{}', expected KEY=a,b", varied));
    }
    assignments.push_back(key + "=" + std::exchange(value, {}));
  };
  for (const char c : std::string_view(varied).substr(equals + 1)) {
    if (c == ',' && depth == 0 && quote == 0) {
      end_value();
      continue;
    }
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (std::string_view("([{").find(c) != std::string_view::npos) {
      ++depth;
    } else if (std::string_view(")]}").find(c) != std::string_view::npos) {
      --depth;
    }
    value += c;
  }
  end_value();
  return assignments;
}

std::vector<fs::path> RunAll(const RunGrid& grid, const std::stop_token& stop) {
  const std::vector<GridCell> cells = CellsOf(grid);
  for (const GridCell& cell : cells) static_cast<void>(LoadExperiment(grid.task, cell.flags));
  CheckFolder(grid);
  std::vector<fs::path> folders;
  const auto runs = std::ssize(cells) * grid.seeds;
  int made = 0;        // by now, of those that were not there
  double seconds = 0;  // that they took
  for (const GridCell& cell : cells) {
    for (int seed = 0; seed < grid.seeds; ++seed) {
      RunFlags flags = cell.flags;
      flags.seed = seed;
      folders.push_back(grid.folder / cell.name / fmt::format("seed-{}", seed));
      const double left =
          static_cast<double>(runs - std::ssize(folders) + 1) * seconds / std::max(made, 1);
      WriteToStderr(fmt::format("{}, seed {} (run {} of {}{})\n", cell.name, seed, folders.size(),
                                runs, made > 0 ? ", " + DurationText(left) + " left" : ""));
      const auto start = std::chrono::steady_clock::now();
      RunSession session(LoadExperiment(grid.task, flags), grid.threads, stop);
      std::error_code error;
      made += fs::exists(folders.back(), error) ? 0 : 1;
      session.CreateOrResume(folders.back());
      session.Run();
      seconds += SecondsSince(start);
    }
  }
  return folders;
}

}  // namespace foreplan

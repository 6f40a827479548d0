// Texts: task files, expressions, and what stands in headers, options and cells.
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/core/toml_text.h"
#include "foreplan/data/cell_clock.h"
#include "foreplan/data/component.h"
#include "foreplan/data/log_options.h"
#include "foreplan/data/unit.h"
#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/expression_tape.h"
#include "foreplan/models/physics/unknowns.h"
#include "foreplan/runs/appended_file.h"
#include "foreplan/runs/run_log.h"
#include "foreplan/systems/name_pattern.h"
#include "foreplan/systems/task.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input_file.h"

namespace foreplan::fuzz {
namespace {

void ReadToml(std::string_view input) { (void)ParseToml(input, "input.toml"); }

/// What it says is used for a few steps.
void ReadTask(std::string_view input) {
  Config config = Config::FromString(input, "input.toml");
  const Task task = Task::FromConfig(config, OwnFolder());
  const auto environment = task.MakeEnvironment();
  environment->Reset(Key{1, 2});
  const std::vector<double> action(static_cast<size_t>(task.spec().action_dim()), 0.1);
  std::vector<double> observation(static_cast<size_t>(task.spec().observation_dim()));
  for (int step = 0; step < 3; ++step) {
    if (environment->Step(action) == StepStatus::kDiverged) break;
    environment->Observe(observation);
  }
}

/// `foreplan run --set`.
void ReadAssignment(std::string_view input) {
  Config config = Config::FromString("[model]\nwidth = 3\n", "input.toml");
  config.Set(input);
  (void)config.Assignments("");
}

const std::array<Component, 3> kObservation = {{{"x", "m"}, {"angle", "rad"}, {"speed", "m/s"}}};
const std::array<Component, 1> kAction = {{{"force", "N"}}};
constexpr int kRows = 5;

struct Rows {
  std::array<double, kRows * 3> observation;
  std::array<double, kRows> action;
  std::array<double, kRows * 3> next;
};

Rows SomeRows() {
  Rows rows;
  std::mt19937 draw(1);
  for (const std::span<double> values :
       {std::span<double>(rows.observation), std::span<double>(rows.action),
        std::span<double>(rows.next)}) {
    for (double& value : values) value = static_cast<double>(draw()) / (1U << 31U) - 1;
  }
  return rows;
}

/// By what many rows are computed, and by what derivatives are. (That both agree, as far as
/// roundings let them, is for tests of the room: a difference of two large numbers may be
/// anything.)
void Compute(const ExpressionGraph& graph, int number) {
  const TransitionSizes sizes{.observation = 3, .action = 1};
  const ExpressionProgram program(graph, {number}, -1, sizes);
  const ExpressionTape tape(graph, number, sizes);
  static const Rows rows = SomeRows();
  std::array<double, kRows> values{};
  program.Run({kRows, rows.observation.data(), rows.action.data(), rows.next.data()}, values.data(),
              nullptr);
  std::array<double, 7> gradient{};
  std::array<double, 49> hessian{};
  (void)tape.Expand(rows.observation.data(), rows.action.data(), rows.next.data(), gradient.data(),
                    hessian.data());
}

void ReadExpression(std::string_view input) {
  static const ExpressionDefinitions definitions = {
      .constants = {{"goal", "input: goal", {1, -2}}},
      .quantities = {{"distance", {"input: distance", "norm([x, speed] - goal)"}}}};
  const ExpressionScope scope{.observation = kObservation, .action = kAction};
  const ExpressionText text{"input", std::string(input)};
  ExpressionCompiler compiler(scope, definitions);
  try {
    (void)ExpressionCompiler(scope, definitions).Condition(text);
  } catch (const InputError&) {  // it is a number
  }
  const int number = compiler.Number(text);
  Compute(compiler.graph(), number);
}

/// Lines: of what they may be.
void ReadWords(std::string_view input) {
  (void)ParseUnit(input);
  const size_t middle = input.size() / 2;
  (void)MatchesPattern(input.substr(0, middle), input.substr(middle));
  CellClock clock(1);
  (void)clock.Read(input, std::nan(""));
  const auto read = [&](auto parse) {
    try {
      (void)parse();
    } catch (const InputError&) {  // it is another word
    }
  };
  read([&] { return ParseNewName(input); });
  read([&] { return ParseColumnScale(input); });
  read([&] { return SecondsOfTimeUnit(input); });
  read([&] { return ParseUnknown("input", std::string(input)); });
  read([&] { return ParseMark(input, "input"); });
}

/// Two tables, with a zero between them.
void ReadTables(std::string_view input) {
  const size_t middle = std::min(input.find('\0'), input.size());
  const std::string_view second = middle < input.size() ? input.substr(middle + 1) : "";
  RunLog log;
  log.RestoreCsv(input.substr(0, middle), second, "input");
  RunLog again;
  again.RestoreCsv(log.EpisodesCsv(), log.MetricsCsv(), "what was written");
  if (again.EpisodesCsv() != log.EpisodesCsv() || again.MetricsCsv() != log.MetricsCsv()) {
    throw std::logic_error("tables that are read and written again are others");
  }
}

}  // namespace

std::vector<Target> TextTargets() {
  return {
      {"toml", "TOML, as all configuration is", ReadToml},
      {"task", "task files, their systems and rewards", ReadTask},
      {"assignment", "--set KEY=VALUE", ReadAssignment},
      {"expression", "expressions of task files, their values and derivatives", ReadExpression},
      {"words", "units, patterns of names, times, NEW=OLD, NAME=FACTOR, unknowns, marks",
       ReadWords},
      {"tables", "episodes.csv and metrics.csv of runs", ReadTables},
  };
}

}  // namespace foreplan::fuzz

// foreplan bench: how fast this build is on this machine.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <vector>

#include "apps/bench/suite.h"
#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/table.h"

namespace foreplan::apps {
namespace {

struct BenchRequest {
  std::string suite;
  BenchOptions options;
  RunFlags flags;
  int threads = 1;
  bool json = false;
};

const BenchSuite& FindSuite(const std::string& name) {
  std::vector<std::string> known;
  for (const BenchSuite& suite : BenchSuites()) {
    if (suite.name == name) return suite;
    known.push_back(suite.name);
  }
  throw UnknownName("bench", "suite", name, known);
}

void Bench(const BenchRequest& request) {
  const BenchSuite& suite = FindSuite(request.suite);
  const auto executor = std::make_shared<ThreadPool>(request.threads);
  Config config;
  for (const std::string& assignment : request.flags.assignments) config.Set(assignment);
  BenchOptions options = request.options;
  options.config = &config;
  options.executor = executor;
  options.stop = CatchInterrupts();
  const std::vector<BenchRow> rows = MeasureSuite(suite, options);
  if (request.json) {
    fmt::print("{}\n", nlohmann::ordered_json(rows).dump(2));
    return;
  }
  WriteToStderr(MachineJson(request.threads));
  fmt::print("{}", PlainTable(rows));
}

}  // namespace

void AddBenchCommand(CLI::App& app) {
  auto request = std::make_shared<BenchRequest>();
  CLI::App& command = *app.add_subcommand("bench", "measure how fast this build is");
  std::string suites;
  std::vector<std::string> names;
  for (const BenchSuite& suite : BenchSuites()) {
    suites += fmt::format("\n  {}: {}", suite.name, suite.summary);
    names.emplace_back(suite.name);
  }
  command.add_option("suite", request->suite, "what to measure:" + suites)
      ->required()
      ->type_name(fmt::format("{}", fmt::join(names, "|")));
  command.add_option("--case", request->options.case_name, "only this case of the suite")
      ->type_name("NAME");
  command.add_option("--precision", request->options.precision, "of planning; default: f32")
      ->type_name("f32|bf16|auto");
  command.add_option("--model", request->options.model, "simulation: the model to simulate")
      ->type_name("FILE.xml");
  command.add_option("--repeats", request->options.repeats, "most samples per case; default: 25")
      ->check(IntegerFrom(3, 1'000'000));
  command
      .add_option("--seconds", request->options.seconds,
                  "per case; at least 3 samples are taken. Default: 10")
      ->check(NumberFrom(0, 1e6));
  command
      .add_option("--set", request->flags.assignments,
                  "change a size of the suite's cases, e.g. population=1000; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { Bench(*request); });
}

}  // namespace foreplan::apps

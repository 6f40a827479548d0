// What `foreplan bench` measures: suites of cases. A suite is one file; its line stands in the
// table of suites.cc.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/executor.h"

namespace foreplan::apps {

/// One flat object of the answer, its keys in the order in which they are shown.
using BenchRow = nlohmann::ordered_json;

/// What the command line says.
struct BenchOptions {
  std::string case_name;     // of the only case to measure; "": all
  std::string precision;     // of the networks; "": what the suite measures by default
  std::string model;         // MJCF file to simulate; "": the shipped one
  int repeats = 25;          // most samples per case
  double seconds = 10;       // per case, after which no further sample is taken [s]
  Config* config = nullptr;  // --set: sizes that replace those of the cases
  std::shared_ptr<Executor> executor;
  std::stop_token stop;  // looked at between samples
};

/// How a case is timed.
struct Measurement {
  BenchRow fields;                 // what names and describes the row, from "case" on
  std::string unit = "ms";         // of the times: "ms" or "us"
  std::function<void()> prepare;   // sets up what sample works on; may be empty
  std::function<double()> sample;  // does the work; returns the seconds of one operation
  /// Adds what follows from the median time [s], such as a rate; may be empty.
  std::function<void(double median, BenchRow& row)> finish;
};

/// `make` reads and checks sizes and does no work: it throws InputError for what is wrong.
struct BenchCase {
  std::string name;
  std::function<Measurement(const BenchOptions&)> make;
};

struct BenchSuite {
  std::string name;
  std::string summary;
  std::vector<BenchCase> (*cases)();
};

/// All suites of this build.
const std::vector<BenchSuite>& BenchSuites();

/// Seconds that one call takes, from `calls` of them.
template <typename Function>
double SecondsPerCall(int calls, Function&& function) {
  const auto start = std::chrono::steady_clock::now();
  for (int call = 0; call < calls; ++call) function();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count() / calls;
}

/// Throws InputError for a flag that a suite has no use for.
void RefuseFlag(const std::string& suite, const std::string& flag, const std::string& value);

/// One row per case of the suite: after a first, uncounted sample of each, rounds over all cases,
/// forwards and backwards in turn, so that a change of the machine's mood meets all of them.
/// Throws InputError, before any work starts, for an unknown case or wrong sizes, and Interrupted
/// when asked to stop.
std::vector<BenchRow> MeasureSuite(const BenchSuite& suite, const BenchOptions& options);

std::vector<BenchCase> PlanningCases();
std::vector<BenchCase> DeadlineCases();
std::vector<BenchCase> TrainingCases();
std::vector<BenchCase> ActorCriticCases();
std::vector<BenchCase> PredictionCases();
std::vector<BenchCase> LatencyCases();
std::vector<BenchCase> MppiCases();
std::vector<BenchCase> TrajoptCases();
std::vector<BenchCase> StorageCases();
std::vector<BenchCase> SimulationCases();  // only in a build with MuJoCo

}  // namespace foreplan::apps

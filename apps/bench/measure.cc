#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/bench/suite.h"
#include "foreplan/core/error.h"
#include "foreplan/runs/status_line.h"

namespace foreplan::apps {
namespace {

constexpr size_t kFewestSamples = 3;  // however long they take

/// One case under way.
struct Timed {
  Measurement measurement;
  std::vector<double> seconds;  // per operation, of each sample
  double spent = 0;             // wall time of all samples [s]
};

/// Linear between the two nearest of the sorted values.
double Quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

void TakeSample(Timed& timed) {
  timed.spent += SecondsPerCall(1, [&] { timed.seconds.push_back(timed.measurement.sample()); });
}

bool WantsSample(const Timed& timed, const BenchOptions& options) {
  const size_t taken = timed.seconds.size();
  if (taken >= static_cast<size_t>(options.repeats)) return false;
  return taken < kFewestSamples || timed.spent < options.seconds;
}

/// The share that is done, 0 ... 1, of samples or of the time for them.
double ShareDone(const Timed& timed, const BenchOptions& options) {
  if (!WantsSample(timed, options)) return 1;
  const double samples = static_cast<double>(timed.seconds.size());
  const double by_time = options.seconds > 0 ? timed.spent / options.seconds : 1;
  const bool has_fewest = timed.seconds.size() >= kFewestSamples;
  const double by_count = samples / (has_fewest ? options.repeats : kFewestSamples);
  return std::min(1.0, has_fewest ? std::max(by_count, by_time) : std::min(by_count, by_time));
}

BenchRow RowOf(Timed& timed) {
  std::sort(timed.seconds.begin(), timed.seconds.end());
  const Measurement& measurement = timed.measurement;
  const double scale = measurement.unit == "us" ? 1e6 : 1e3;
  const double median = Quantile(timed.seconds, 0.5);
  BenchRow row = measurement.fields;
  row[measurement.unit + "_median"] = scale * median;
  row[measurement.unit + "_p10"] = scale * Quantile(timed.seconds, 0.1);
  row[measurement.unit + "_p90"] = scale * Quantile(timed.seconds, 0.9);
  if (measurement.finish) measurement.finish(median, row);
  row["samples"] = timed.seconds.size();
  return row;
}

std::vector<BenchCase> ChosenCases(const BenchSuite& suite, const BenchOptions& options) {
  std::vector<BenchCase> cases = suite.cases();
  if (options.case_name.empty()) return cases;
  std::vector<std::string> names;
  for (const BenchCase& known : cases) {
    if (std::ranges::find(names, known.name) == names.end()) names.push_back(known.name);
  }
  std::erase_if(cases, [&](const BenchCase& known) { return known.name != options.case_name; });
  if (cases.empty()) throw UnknownName("bench " + suite.name, "case", options.case_name, names);
  return cases;
}

}  // namespace

void RefuseFlag(const std::string& suite, const std::string& flag, const std::string& value) {
  if (value.empty()) return;
  throw InputError(fmt::format("bench {}: {}: found '{}', expected no such flag for this suite",
                               suite, flag, value));
}

std::vector<BenchRow> MeasureSuite(const BenchSuite& suite, const BenchOptions& options) {
  std::vector<Timed> all;
  for (const BenchCase& chosen : ChosenCases(suite, options)) {
    all.push_back({chosen.make(options), {}, 0});
  }
  options.config->ThrowOnUnknownKeys();
  std::vector<Timed*> order;
  StatusLine line;
  WorkProgress progress(suite.name, static_cast<double>(all.size()), "cases", line);
  const auto go_on = [&] {
    if (options.stop.stop_requested()) throw Interrupted("interrupted; nothing is written");
    double done = 0;
    for (const Timed& timed : all) done += ShareDone(timed, options);
    progress.Show(done);
  };
  for (Timed& timed : all) {
    go_on();
    if (timed.measurement.prepare) timed.measurement.prepare();
    timed.measurement.sample();  // warm-up
    order.push_back(&timed);
  }
  while (
      std::ranges::any_of(all, [&](const Timed& timed) { return WantsSample(timed, options); })) {
    for (Timed* timed : order) {
      go_on();
      if (WantsSample(*timed, options)) TakeSample(*timed);
    }
    std::ranges::reverse(order);
  }
  std::vector<BenchRow> rows;
  for (Timed& timed : all) rows.push_back(RowOf(timed));
  return rows;
}

}  // namespace foreplan::apps

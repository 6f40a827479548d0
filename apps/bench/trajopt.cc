// Suite trajopt: the reference problems of trajectory optimisation, solved whole, on one thread.
#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench/allocations.h"
#include "apps/bench/suite.h"
#include "foreplan/trajopt/box_qp.h"
#include "foreplan/trajopt/testing/reference_problems.h"

namespace foreplan::apps {
namespace {

void RefuseFlags(const BenchOptions& options) {
  RefuseFlag("trajopt", "--model", options.model);
  RefuseFlag("trajopt", "--precision", options.precision);
}

/// A case with its solver, and what its last solve gave.
struct Solving {
  Solving(ReferenceCase reference_case, Executor* executor)
      : reference(std::move(reference_case)),
        solver(*reference.trajectory, reference.options, executor) {
    if (reference.stop_at_known_cost) {
      solver.set_callback([known = reference.known_cost](int, const IlqrIteration& iteration) {
        return iteration.cost > known;
      });
    }
  }
  void Solve() {
    const long before = AllocationCount();
    result = solver.Solve(reference.start, reference.actions, reference.states);
    allocations = AllocationCount() - before;
  }

  ReferenceCase reference;
  IlqrSolver solver;
  IlqrResult result;
  long allocations = 0;
};

Measurement MeasureSolve(const std::string& problem, const std::string& variant,
                         const BenchOptions& options) {
  RefuseFlags(options);
  const auto solving = std::make_shared<std::unique_ptr<Solving>>();
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {{"case", problem + "/" + variant},
                        {"problem", problem},
                        {"variant", variant},
                        {"threads", options.executor->size()}};
  measurement.prepare = [=, executor = options.executor] {
    *solving = std::make_unique<Solving>(MakeReferenceCase(problem, variant),
                                         executor->size() > 1 ? executor.get() : nullptr);
    (*solving)->Solve();
  };
  measurement.sample = [solving] {
    // Several solves per sample where one is short.
    const double once = std::max(1e-7, (*solving)->result.seconds());
    const int calls = std::clamp(static_cast<int>(2e-3 / once), 1, 1000);
    return SecondsPerCall(calls, [&] { (*solving)->Solve(); });
  };
  measurement.finish = [solving](double median, BenchRow& row) {
    const IlqrResult& result = (*solving)->result;
    const double iterations = std::max(1, result.iterations);
    row["iterations"] = result.iterations;
    row["final_cost"] = result.cost;
    row["us_per_iteration"] = 1e6 * median / iterations;
    row["us_total"] = 1e6 * median;
    row["allocations_per_iteration"] = static_cast<double>((*solving)->allocations) / iterations;
    row["status"] = Name(result.status);
  };
  return measurement;
}

struct QpSolving {
  explicit QpSolving(int size)
      : n(size),
        problem(MakeReferenceBoxQp(size)),
        solver(size),
        low(static_cast<size_t>(size), 0.0),
        high(static_cast<size_t>(size), 1.0),
        start(static_cast<size_t>(size), 0.5),
        x(start),
        inverse(static_cast<size_t>(size) * static_cast<size_t>(KnotLayout::Padded(size))) {}
  /// With the inverse of the free block, as a solver of trajectories takes it for its gains.
  void Solve() {
    const long before = AllocationCount();
    std::ranges::copy(start, x.begin());
    result =
        solver.Solve(n, problem.H.data(), n, problem.q.data(), low.data(), high.data(), x.data());
    solver.FreeInverse(inverse.data(), KnotLayout::Padded(n));
    allocations = AllocationCount() - before;
  }
  [[nodiscard]] double Cost() const {
    const Eigen::Map<const Eigen::VectorXd> at(x.data(), n);
    return 0.5 * at.dot(problem.H * at) + problem.q.dot(at);
  }

  int n;
  ReferenceBoxQp problem;
  BoxQp solver;
  std::vector<double> low, high, start, x, inverse;
  BoxQpResult result;
  long allocations = 0;
};

Measurement MeasureQp(int n, bool warm, const BenchOptions& options) {
  RefuseFlags(options);
  const auto solving = std::make_shared<QpSolving>(n);
  const std::string problem = "box_qp_" + std::to_string(n);
  const std::string variant = warm ? "warm" : "cold";
  Measurement measurement;
  measurement.unit = "us";
  measurement.fields = {{"case", problem + "/" + variant},
                        {"problem", problem},
                        {"variant", variant},
                        {"threads", 1}};
  measurement.prepare = [=] {
    solving->Solve();
    if (warm) solving->start = solving->x;
  };
  measurement.sample = [solving] { return SecondsPerCall(200, [&] { solving->Solve(); }); };
  measurement.finish = [solving](double median, BenchRow& row) {
    row["iterations"] = solving->result.iterations;
    row["final_cost"] = solving->Cost();
    row["us_per_iteration"] = 1e6 * median / std::max(1, solving->result.iterations);
    row["us_total"] = 1e6 * median;
    row["allocations_per_iteration"] =
        static_cast<double>(solving->allocations) / std::max(1, solving->result.iterations);
    row["status"] = solving->result.status == BoxQpStatus::kSolved ? "converged" : "not converged";
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> TrajoptCases() {
  std::vector<BenchCase> cases;
  for (const auto& [problem, variant] : ReferenceCases()) {
    cases.push_back({problem + "/" + variant, [=](const BenchOptions& options) {
                       return MeasureSolve(problem, variant, options);
                     }});
  }
  for (const int n : {8, 36, 76}) {
    for (const bool warm : {false, true}) {
      cases.push_back({"box_qp_" + std::to_string(n) + (warm ? "/warm" : "/cold"),
                       [=](const BenchOptions& options) { return MeasureQp(n, warm, options); }});
    }
  }
  return cases;
}

}  // namespace foreplan::apps

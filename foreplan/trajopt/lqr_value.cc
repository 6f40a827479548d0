#include "foreplan/trajopt/lqr_value.h"

#include <fmt/format.h>

#include <string_view>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

void CheckNotAffine(const LqrStage& stage) {
  const auto absent = [](const Eigen::VectorXd& term) {
    return term.size() == 0 || term.isZero(0);
  };
  if (absent(stage.c) && absent(stage.q) && absent(stage.r)) return;
  throw InputError(
      "lqr value: found terms c, q or r, expected none: the target is where everything is 0");
}

void CheckSolved(LqrStatus status) {
  if (status == LqrStatus::kOk) return;
  const std::string_view found = status == LqrStatus::kIndefinite  ? "a cost without a minimum"
                                 : status == LqrStatus::kNotFinite ? "numbers that are not finite"
                                                                   : "a system that no feedback "
                                                                     "makes stable";
  throw InputError(fmt::format("lqr value: found {}, expected a problem with a solution", found));
}

// -1/2 x'V x
std::shared_ptr<const QuadraticValue> ValueOf(const Eigen::MatrixXd& V,
                                              const Eigen::VectorXd& target) {
  return std::make_shared<const QuadraticValue>(0.25 * (V + V.transpose()), target);
}

}  // namespace

std::shared_ptr<const QuadraticValue> StationaryLqrValue(const LqrStage& stage,
                                                         const Eigen::VectorXd& target) {
  CheckNotAffine(stage);
  const StationaryLqr solution = SolveStationaryLqr(stage);
  CheckSolved(solution.status);
  return ValueOf(solution.V, target);
}

std::shared_ptr<const QuadraticValue> LqrValue(const LqrProblem& problem,
                                               const Eigen::VectorXd& target) {
  for (const LqrStage& stage : problem.stages) CheckNotAffine(stage);
  if (problem.terminal_q.size() > 0 && !problem.terminal_q.isZero(0)) {
    throw InputError("lqr value: found a term terminal_q, expected none");
  }
  const LqrSolution solution = SolveLqr(problem);
  CheckSolved(solution.status);
  return ValueOf(solution.V.front(), target);
}

}  // namespace foreplan

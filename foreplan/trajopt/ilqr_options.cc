#include "foreplan/trajopt/ilqr_options.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace foreplan {

std::string_view Name(IlqrStatus status) {
  switch (status) {
    case IlqrStatus::kConverged:
      return "converged";
    case IlqrStatus::kStationaryStart:
      return "stationary start";
    case IlqrStatus::kIterationLimit:
      return "iteration limit";
    case IlqrStatus::kStopped:
      return "stopped";
    case IlqrStatus::kDeadline:
      return "deadline";
    case IlqrStatus::kNoDescent:
      return "no descent";
    case IlqrStatus::kIndefinite:
      return "indefinite";
    case IlqrStatus::kInvalidStart:
      return "invalid start";
    case IlqrStatus::kInvalidDerivatives:
      return "invalid derivatives";
  }
  return "";
}

void IlqrOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, Derivatives>> kDerivatives = {
      {"gauss_newton", Derivatives::kGaussNewton}, {"full", Derivatives::kFull}};
  static const std::vector<std::pair<std::string, Regularisation>> kRegularisations = {
      {"actions", Regularisation::kActions}, {"states", Regularisation::kStates}};
  visitor.Field("max_iterations", max_iterations, {1, 1000000}, "iterations at most");
  visitor.Field("cost_tolerance", cost_tolerance, {0, 1},
                "converged: expected decrease relative to the cost");
  visitor.Field("gap_tolerance", gap_tolerance, {0, 1},
                "converged: largest gap of an infeasible guess");
  visitor.Choice("derivatives", derivatives, std::span(kDerivatives),
                 "gauss_newton (iLQR) or full (DDP)");
  visitor.Choice("regularisation", regularisation, std::span(kRegularisations),
                 "what mu is added to: Quu, or the next value's Hessian");
  visitor.Field("initial_mu", initial_mu, {0, 1e10}, "regularisation at the start");
  visitor.Field("min_mu", min_mu, {1e-16, 1}, "below it the regularisation is 0");
  visitor.Field("max_mu", max_mu, {1, 1e30}, "above it the solver gives up");
  visitor.Field("mu_factor", mu_factor, {1.01, 100}, "how fast it grows and shrinks");
  visitor.Field("min_step", min_step, {1e-12, 1}, "shortest step of the line search");
  visitor.Field("min_ratio", min_ratio, {0, 1}, "least actual over expected change of a step");
  visitor.Field("max_ratio", max_ratio, {1, 1e300}, "largest actual over expected change");
}

}  // namespace foreplan

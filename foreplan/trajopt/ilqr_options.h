// Options of iLQR and DDP, and how a solve may end.
#pragma once

#include <string_view>

#include "foreplan/core/options.h"
#include "foreplan/trajopt/backward_pass.h"

namespace foreplan {

enum class IlqrStatus {
  kConverged,           // no step promises a relevant decrease of the cost
  kStationaryStart,     // the guess itself is stationary (minimum, saddle or maximum): nothing done
  kIterationLimit,      // still improving
  kStopped,             // the callback said so
  kDeadline,            // the cutoff came; the trajectory is the best so far
  kNoDescent,           // no step length brought a decrease even with the largest regularisation
  kIndefinite,          // Quu not positive definite even with the largest regularisation
  kInvalidStart,        // cost or state of the guess is not finite
  kInvalidDerivatives,  // a derivative is NaN or infinite
};

/// "converged", "stationary start", ...
std::string_view Name(IlqrStatus status);

enum class Derivatives {
  kGaussNewton,  // iLQR: the dynamics' second derivatives are left out
  kFull,  // DDP (Jacobson and Mayne 1970); falls back to kGaussNewton where Quu is indefinite
};

struct IlqrOptions {
  int max_iterations = 500;      // 1 ... 1000000
  double cost_tolerance = 1e-9;  // converged: expected decrease relative to the cost, 0 ... 1
  double gap_tolerance = 1e-9;   // converged: largest gap of an infeasible guess, 0 ... 1
  Derivatives derivatives = Derivatives::kGaussNewton;
  Regularisation regularisation = Regularisation::kActions;
  double initial_mu = 0;    // regularisation at the start [cost per action squared]
  double min_mu = 1e-6;     // below it mu is 0
  double max_mu = 1e10;     // above it the solver gives up
  double mu_factor = 1.6;   // how fast mu grows and shrinks, 1 ... 100
  double min_step = 1e-3;   // shortest step of the line search, 0 ... 1
  double min_ratio = 1e-4;  // actual over expected change that a step must reach ...
  double max_ratio = 10;    // ... and may not exceed

  void Visit(OptionsVisitor& visitor);
};

}  // namespace foreplan

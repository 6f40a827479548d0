// LQR that stays near the policy before it: local models are right only where their data were.
#pragma once

#include "foreplan/core/options.h"
#include "foreplan/trajopt/kl/dual_ascent.h"
#include "foreplan/trajopt/kl/kl_lqr_pass.h"

namespace foreplan {

enum class KlMultiplierSearch {
  kBracketed,   // secant and bisection in log lambda
  kDualAscent,  // dual gradient descent as it is written in textbooks; may fail, for comparison
};

/// The fields of a KL-constrained step.
struct KlConstrainedOptions {
  double entropy_weight = 0;  // nu [cost]
  double tolerance = 0.01;    // KL is accepted within this share of the bound
  double lambda_min = 1e-8;   // keeps covariance: Sigma goes to 0 with lambda + nu
  double lambda_max = 1e16;
  double first_lambda = 1;  // where the search starts
  int max_passes = 60;      // of the bracketed search
  bool per_step = false;    // a bound, KL / horizon, and a multiplier for every time step
  KlMultiplierSearch search = KlMultiplierSearch::kBracketed;
  DualAscentOptions ascent = {};  // of kDualAscent

  void Visit(OptionsVisitor& visitor);
};

enum class KlConstrainedStatus {
  kConverged,   // KL = bound, within the tolerance
  kInactive,    // KL <= bound at lambda_min: the bound does not matter
  kIndefinite,  // Quu not positive definite up to lambda_max, or where dual ascent went
  kNotFinite,   // numbers overflowed on the way up to lambda_max
  kNotReached,  // KL > bound even at lambda_max
  kPasses,      // out of passes
  kStalled,     // dual ascent found no step
};

struct KlConstrainedResult {
  KlConstrainedStatus status = KlConstrainedStatus::kPasses;
  double lambda = 0;       // with a multiplier per step: their mean
  double kl = 0;           // of the whole trajectory
  double cost_change = 0;  // E[cost] of the new policy - that of the previous one, same dynamics
  int passes = 0;          // backward passes made
  int failed_step = -1;    // of kIndefinite, kNotFinite
  [[nodiscard]] bool ok() const {
    return status == KlConstrainedStatus::kConverged || status == KlConstrainedStatus::kInactive;
  }
};

/// Why a step failed, for logs.
[[nodiscard]] const char* Describe(KlConstrainedStatus status);

/// min_p sum_t E_p[cost_t] - nu H(p)  subject to  KL(p || previous) <= bound, trajectories of both
/// under the same linear-Gaussian dynamics (Levine and Abbeel 2014; Levine, Finn et al. 2016): the
/// search of the multiplier lambda over passes of LQR, each at one lambda.
class KlConstrainedLqr : public KlLqrPass {
 public:
  using KlLqrPass::KlLqrPass;

  /// Finds lambda. Policy() is the new policy when the result is ok().
  KlConstrainedResult Solve(double kl_bound, const KlConstrainedOptions& options);

 private:
  KlConstrainedResult SolveByDualAscent(double kl_bound, const KlConstrainedOptions& options);
};

}  // namespace foreplan

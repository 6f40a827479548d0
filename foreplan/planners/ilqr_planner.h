// iLQR as a planner: plans through the derivatives of a model.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "foreplan/planners/planner.h"
#include "foreplan/planners/sampling.h"
#include "foreplan/trajopt/dynamics_problem.h"
#include "foreplan/trajopt/ilqr.h"

namespace foreplan {

struct IlqrPlannerOptions : SamplingOptions {
  int first_iterations = 100;  // of an episode's first decision, 1 ... 100000
  int iterations = 5;          // of the others, which start from the shifted plan, 1 ... 100000
  int guesses = 64;            // random sequences of the first decision; the best is its start
  int hold = 5;                // steps for which a guess holds its action, 1 ... 10000
  double trust_region = 0.25;  // most that one decision changes an action, in half ranges; 0: free
  IlqrOptions solver = {.cost_tolerance = 1e-6, .initial_mu = 1e-3};

  IlqrPlannerOptions() {
    horizon = 40;
    particles = 1;
  }
  void Visit(OptionsVisitor& visitor);
};

/// Box-constrained iLQR on the expected next states of the model (Tassa et al. 2012, 2014). An
/// episode's first decision starts from the best of some random sequences and runs to convergence;
/// later ones improve the shifted plan by a few iterations. On a learned model the trust region
/// keeps a decision near the plan before it, whose transitions the model has seen. Returns, those
/// of the random sequences too, are those along the expected next states.
class IlqrPlanner final : public Planner {
 public:
  using Options = IlqrPlannerOptions;

  /// Throws InputError naming the option that is out of range, and for rewards without derivatives.
  IlqrPlanner(Options options, const PlanningProblem& problem);

  [[nodiscard]] int horizon() const override { return population_.horizon(); }
  void Reset() override;
  /// The solver and its solution are those of the model: both are made anew.
  void set_model(const ModelVersion& version) override;
  const Plan& MakePlan(const PlanRequest& request) override;

  /// The solver after MakePlan: states, actions and gains of the plan, log of its iterations.
  [[nodiscard]] IlqrSolver& solver() { return *solver_; }
  [[nodiscard]] const IlqrResult& result() const { return result_; }

 private:
  void MakeSolver();
  void ForgetPlan();
  void ShiftWarmStart(int64_t steps);
  double Guess(const PlanRequest& request, DecisionClock& clock);
  void Improve(const PlanRequest& request, DecisionClock& clock);
  void TakeProposal(const PlanRequest& request, DecisionClock& clock);
  void AddFeedback();
  void SetTrustRegion();

  Options options_;
  Population population_;
  PlanningProblem problem_;
  std::optional<DynamicsProblem> trajectory_problem_;
  std::optional<IlqrSolver> solver_;
  IlqrResult result_;
  std::vector<double> actions_;     // [horizon x nu], what the solver starts from and finds
  std::vector<double> low_, high_;  // [horizon x nu]
  bool first_ = true;
  bool solved_ = false;  // actions_ are the solver's
  WarmStep warm_step_;
  Plan plan_;
};

}  // namespace foreplan

#include "foreplan/planners/ilqr_planner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/validated.h"
#include "foreplan/policies/linear_gaussian.h"

namespace foreplan {
namespace {

IlqrOptions SolverOptions(const IlqrPlannerOptions& options) {
  IlqrOptions solver = options.solver;
  solver.max_iterations = std::max(options.first_iterations, options.iterations);
  return solver;
}

}  // namespace

void IlqrPlannerOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("horizon", horizon, {1, 10000}, "steps imagined");
  visitor.Field("first_iterations", first_iterations, {1, 100000},
                "iterations of an episode's first decision");
  visitor.Field("iterations", iterations, {1, 100000}, "iterations of the other decisions");
  visitor.Field("guesses", guesses, {1, 100000},
                "random sequences of which the best starts the first decision");
  visitor.Field("hold", hold, {1, 10000}, "steps for which a guess holds its action");
  visitor.Field("trust_region", trust_region, {0, 2},
                "most that a decision changes an action, in half ranges; 0: no limit");
  visitor.Field("cost_tolerance", solver.cost_tolerance, {0, 1},
                "converged: expected decrease relative to the cost");
  visitor.Field("initial_mu", solver.initial_mu, {0, 1e10}, "regularisation at the start");
  visitor.Field("mu_factor", solver.mu_factor, {1.01, 100}, "how fast it grows and shrinks");
}

IlqrPlanner::IlqrPlanner(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.ilqr", options)),
      population_(problem, options_, std::max(2, options_.guesses), Imagined::kExpected),
      problem_(problem),
      actions_(population_.sequence_size()),
      low_(population_.low().begin(), population_.low().end()),
      high_(population_.high().begin(), population_.high().end()) {
  MakeSolver();
  Reset();
}

void IlqrPlanner::MakeSolver() {
  solver_.reset();  // it refers to the problem
  trajectory_problem_.emplace(problem_.dynamics, problem_.reward, problem_.bounds, options_.horizon,
                              problem_.terminal_value);
  solver_.emplace(*trajectory_problem_, SolverOptions(options_), problem_.executor.get());
}

void IlqrPlanner::set_model(const ModelVersion& version) {
  population_.set_model(version);  // checks it
  if (problem_.Take(version)) MakeSolver();
}

void IlqrPlanner::Reset() {
  ForgetPlan();
  warm_step_.Reset();
}

void IlqrPlanner::ForgetPlan() {
  first_ = true;
  plan_.actions.assign(population_.middle().begin(), population_.middle().end());
}

void IlqrPlanner::ShiftWarmStart(int64_t steps) {
  if (steps >= horizon()) return ForgetPlan();
  ShiftSequence(plan_.actions, population_.action_dim(), static_cast<int>(steps));
}

const Plan& IlqrPlanner::MakePlan(const PlanRequest& request) {
  DecisionClock clock(request, plan_);
  ShiftWarmStart(warm_step_.MoveTo(request.step));
  actions_ = plan_.actions;
  double warm_return = -INFINITY;
  if (first_) {
    warm_return = Guess(request, clock);
  } else {
    TakeProposal(request, clock);
    if (options_.trust_region > 0) SetTrustRegion();
  }
  solved_ = false;
  if (clock.NextIteration(1)) Improve(request, clock);
  // A first decision that was cut may have found nothing as good as what it began with.
  if (clock.is_cut() && warm_return >= plan_.expected_return) {
    plan_.expected_return = warm_return;
  } else {
    std::ranges::copy(actions_, plan_.actions.begin());
    if (request.feedback && solved_ && !clock.is_cut()) AddFeedback();
  }
  return clock.Finish();
}

void IlqrPlanner::AddFeedback() {
  if (problem_.dynamics->tangent_dim() != problem_.dynamics->state_dim()) return;
  try {
    plan_.feedback = std::make_shared<const LinearGaussianPolicy>(solver_->TrackingPolicy());
  } catch (const RunError&) {
    // Around this plan there are no gains.
  }
}

// Begins with a proposal where the model likes it better than the warm start.
void IlqrPlanner::TakeProposal(const PlanRequest& request, DecisionClock& clock) {
  if (request.proposal == nullptr) return;
  std::ranges::copy(actions_, population_.candidate(0).begin());
  const int count =
      population_.Propose(request.proposal, request.state, 1, std::max(2, options_.guesses));
  if (!population_.Evaluate(request.state, 0, count, request.key, clock.cutoff())) {
    return clock.Cut();
  }
  const auto best = population_.Elites(1);
  if (!best.empty()) std::ranges::copy(population_.candidate(best[0]), actions_.begin());
}

void IlqrPlanner::Improve(const PlanRequest& request, DecisionClock& clock) {
  solver_->set_max_iterations(first_ ? options_.first_iterations : options_.iterations);
  solver_->set_cutoff(clock.cutoff());
  result_ = solver_->Solve(request.state, actions_);
  if (result_.status == IlqrStatus::kDeadline) clock.Cut();
  first_ = first_ && clock.is_cut() && result_.iterations == 0;
  if (clock.is_cut() && !std::isfinite(result_.cost)) return;  // before it knew the start's cost
  // A guess may end, by a termination that the solver does not know, before the model fails.
  if (result_.status == IlqrStatus::kInvalidStart) return clock.Record(1, plan_.expected_return);
  clock.Record(1, -result_.cost);
  plan_.expected_return = plan_.best_return;
  plan_.iterations = std::max(1, result_.iterations);
  if (result_.status == IlqrStatus::kConverged || result_.status == IlqrStatus::kStationaryStart) {
    plan_.status = PlanStatus::kConverged;
  }
  std::ranges::copy(solver_->actions(), actions_.begin());
  solved_ = true;
}

// Begins with the best of random sequences that hold their actions, if any is finite. With a
// deadline, what the warm start earns, which is imagined first.
double IlqrPlanner::Guess(const PlanRequest& request, DecisionClock& clock) {
  double warm_return = -INFINITY;
  const std::span<const double> warm_start = actions_;
  if (clock.cutoff().deadline && !population_.Compare(request.state, {&warm_start, 1}, request.key,
                                                      clock.cutoff(), {&warm_return, 1})) {
    clock.Cut();
    return -INFINITY;
  }
  solver_->SetBounds(population_.low(), population_.high());
  const size_t nu = population_.action_dim();
  const auto draw = [&](Random& random, int /*worker*/, std::span<double> sequence) {
    const double scale = random.Uniform();  // timid and bold ones
    for (size_t j = 0; j < sequence.size(); ++j) {
      const size_t step = j / nu;
      const double half = 0.5 * (population_.high()[j] - population_.low()[j]);
      sequence[j] = step % static_cast<size_t>(options_.hold) == 0
                        ? population_.middle()[j] + scale * half * random.Uniform(-1, 1)
                        : sequence[j - nu];
    }
  };
  const int proposed = population_.Propose(request.proposal, request.state, 0, options_.guesses);
  if (!population_.Explore(request.state, proposed, options_.guesses, request.key, clock.cutoff(),
                           draw)) {
    clock.Cut();
  }
  const auto best = population_.Elites(1);
  if (best.empty()) return warm_return;
  plan_.expected_return = population_.returns(best[0]);
  std::ranges::copy(population_.candidate(best[0]), actions_.begin());
  return warm_return;
}

void IlqrPlanner::SetTrustRegion() {
  for (size_t j = 0; j < actions_.size(); ++j) {
    const double reach =
        options_.trust_region * 0.5 * (population_.high()[j] - population_.low()[j]);
    low_[j] = std::max(population_.low()[j], actions_[j] - reach);
    high_[j] = std::min(population_.high()[j], actions_[j] + reach);
  }
  solver_->SetBounds(low_, high_);
}

}  // namespace foreplan

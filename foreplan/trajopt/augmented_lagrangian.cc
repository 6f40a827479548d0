#include "foreplan/trajopt/augmented_lagrangian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/size.h"

namespace foreplan {
std::string_view Name(ConstrainedStatus status) {
  switch (status) {
    case ConstrainedStatus::kConverged:
      return "converged";
    case ConstrainedStatus::kViolated:
      return "constraints violated";
    case ConstrainedStatus::kIterationLimit:
      return "iteration limit";
    case ConstrainedStatus::kFailed:
      return "failed";
  }
  return "";
}

void AugmentedLagrangianOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("max_rounds", max_rounds, {1, 1000}, "rounds of multipliers at most");
  visitor.Field("tolerance", tolerance, {1e-14, 1}, "largest violation of a solution");
  visitor.Field("initial_penalty", initial_penalty, {1e-12, 1e12}, "rho at the start");
  visitor.Field("penalty_factor", penalty_factor, {1.01, 1e6}, "growth of rho");
  visitor.Field("max_penalty", max_penalty, {1e-12, 1e15}, "largest rho");
}

// J and the terms of the constraints, as a trajectory problem of its own.
class AugmentedLagrangianSolver::Lagrangian final : public TrajectoryProblem {
 public:
  Lagrangian(const TrajectoryProblem& problem, const TrajectoryConstraints& constraints);

  [[nodiscard]] int horizon() const override { return problem_.horizon(); }
  [[nodiscard]] int state_dim() const override { return problem_.state_dim(); }
  [[nodiscard]] int action_dim() const override { return layout_.nu; }
  [[nodiscard]] std::span<const double> action_low() const override {
    return problem_.action_low();
  }
  [[nodiscard]] std::span<const double> action_high() const override {
    return problem_.action_high();
  }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace() const override;
  void Bind(int t, Knot& knot) const override;
  double Step(int t, const double* x, const double* u, double* next,
              Workspace& workspace) const override;
  double TerminalCost(const double* x, Workspace& workspace) const override;
  void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
              Workspace& workspace) const override;
  void ExpandTerminal(const double* x, const Knot& knot, Workspace& workspace) const override;
  [[nodiscard]] bool has_second_derivatives() const override {
    return problem_.has_second_derivatives();
  }
  void AddDynamicsHessian(int t, const double* x, const double* u, const double* multiplier,
                          const Knot& knot) const override {
    problem_.AddDynamicsHessian(t, x, u, multiplier, knot);
  }

  void Reset(double penalty);
  /// lambda <- m along a trajectory.
  void UpdateMultipliers(const double* xs, const double* us);
  void set_penalty(double penalty) { penalty_ = penalty; }
  [[nodiscard]] double penalty() const { return penalty_; }
  struct Residual {
    double violation = 0;        // largest |g| or g
    double complementarity = 0;  // the same, or lambda / rho of a constraint that is not active
  };
  [[nodiscard]] Residual Measure(const double* xs, const double* us);
  /// J alone.
  [[nodiscard]] double Cost(const double* xs, const double* us);
  [[nodiscard]] std::span<const double> multipliers(int t) const {
    return {multipliers_.data() + offset(t), static_cast<size_t>(constraints_.count(t))};
  }

 private:
  struct Buffers;
  [[nodiscard]] size_t offset(int t) const { return offsets_[static_cast<size_t>(t)]; }
  /// m: what multiplies the constraint's gradient.
  [[nodiscard]] double Multiplier(int t, int i, double g) const {
    const double m = multipliers_[offset(t) + static_cast<size_t>(i)] + penalty_ * g;
    return i < constraints_.equalities(t) ? m : MaxOrNan(0.0, m);
  }
  [[nodiscard]] double Penalty(int t, const double* x, const double* u, Buffers& b) const;
  void AddConstraints(int t, const double* x, const double* u, const Knot& knot, Buffers& b) const;
  /// Calls visit(t, i, g) for every constraint of a trajectory.
  template <typename Visit>
  void ForEach(const double* xs, const double* us, Visit visit);
  void CopyExpansion(int t, const Knot& knot) const;

  const TrajectoryProblem& problem_;
  const TrajectoryConstraints& constraints_;
  KnotLayout layout_;
  std::vector<Knot> knots_;       // of the problem alone, [N + 1]
  AlignedVector<double> memory_;  // of the knots
  std::vector<size_t> offsets_;   // of a knot's multipliers, [N + 2]
  std::vector<double> multipliers_;
  double penalty_ = 1;
  std::unique_ptr<Workspace> workspace_;  // of Measure and Cost
};

struct AugmentedLagrangianSolver::Lagrangian::Buffers final : TrajectoryProblem::Workspace {
  std::unique_ptr<TrajectoryProblem::Workspace> problem;
  std::vector<double> g;         // [largest count]
  std::vector<double> jacobian;  // [largest count x nu + nx]
  std::vector<double> next;      // [state_dim]
};

AugmentedLagrangianSolver::Lagrangian::Lagrangian(const TrajectoryProblem& problem,
                                                  const TrajectoryConstraints& constraints)
    : problem_(problem),
      constraints_(constraints),
      layout_{problem.state_dim(), problem.action_dim()} {
  if (problem.tangent_dim() != problem.state_dim()) {
    throw InputError(fmt::format(
        "augmented lagrangian: found {} tangent dimensions and {} state numbers, expected as many "
        "of both",
        problem.tangent_dim(), problem.state_dim()));
  }
  offsets_.push_back(0);
  for (int t = 0; t <= problem.horizon(); ++t) {
    const int count = constraints.count(t);
    const int equalities = constraints.equalities(t);
    if (count < 0 || equalities < 0 || equalities > count) {
      throw InputError(
          fmt::format("augmented lagrangian: knot {}: found {} equalities among {} constraints", t,
                      equalities, count));
    }
    offsets_.push_back(offsets_.back() + static_cast<size_t>(count));
  }
  multipliers_.resize(offsets_.back());
  memory_.resize(layout_.knot_size() * offsets_.size());
  double* at = memory_.data();
  for (int t = 0; t <= problem.horizon(); ++t) {
    Knot knot = Knot::Take(layout_, at);
    problem.Bind(t, knot);
    knots_.push_back(knot);
  }
  workspace_ = MakeWorkspace();
}

std::unique_ptr<TrajectoryProblem::Workspace> AugmentedLagrangianSolver::Lagrangian::MakeWorkspace()
    const {
  auto buffers = std::make_unique<Buffers>();
  buffers->problem = problem_.MakeWorkspace();
  int most = 0;
  for (int t = 0; t <= horizon(); ++t) most = std::max(most, constraints_.count(t));
  buffers->g.resize(Size(most, 1));
  buffers->jacobian.resize(Size(most, layout_.nu + layout_.nx));
  buffers->next.resize(Size(state_dim(), 1));
  return buffers;
}

// The Jacobian of the dynamics is the problem's own; costs get terms added and need a copy.
void AugmentedLagrangianSolver::Lagrangian::Bind(int t, Knot& knot) const {
  knot.jacobian = knots_[static_cast<size_t>(t)].jacobian;
}

double AugmentedLagrangianSolver::Lagrangian::Penalty(int t, const double* x, const double* u,
                                                      Buffers& b) const {
  constraints_.Evaluate(t, x, u, b.g.data());
  double sum = 0;
  for (int i = 0; i < constraints_.count(t); ++i) {
    const double m = Multiplier(t, i, b.g[static_cast<size_t>(i)]);
    const double lambda = multipliers_[offset(t) + static_cast<size_t>(i)];
    sum += m * m - lambda * lambda;
  }
  return sum / (2 * penalty_);
}

double AugmentedLagrangianSolver::Lagrangian::Step(int t, const double* x, const double* u,
                                                   double* next, Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  return problem_.Step(t, x, u, next, *b.problem) + Penalty(t, x, u, b);
}

double AugmentedLagrangianSolver::Lagrangian::TerminalCost(const double* x,
                                                           Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  return problem_.TerminalCost(x, *b.problem) + Penalty(horizon(), x, nullptr, b);
}

void AugmentedLagrangianSolver::Lagrangian::CopyExpansion(int t, const Knot& knot) const {
  const Knot& own = knots_[static_cast<size_t>(t)];
  std::copy_n(own.hessian_u, layout_.hessian_u_size(), knot.hessian_u);
  std::copy_n(own.hessian_x, layout_.hessian_x_size(), knot.hessian_x);
  std::copy_n(own.gradient, layout_.ldz(), knot.gradient);
}

// gradient += m g', Hessian += rho g' g'^T where the constraint acts.
void AugmentedLagrangianSolver::Lagrangian::AddConstraints(int t, const double* x, const double* u,
                                                           const Knot& knot, Buffers& b) const {
  const int nu = layout_.nu;
  const int width = nu + layout_.nx;
  const KnotView<> view(knot, layout_);
  constraints_.Expand(t, x, u, b.g.data(), b.jacobian.data());
  for (int i = 0; i < constraints_.count(t); ++i) {
    const double m = Multiplier(t, i, b.g[static_cast<size_t>(i)]);
    if (i >= constraints_.equalities(t) && m == 0) continue;
    const double* row = b.jacobian.data() + Size(i, width);
    for (int p = 0; p < width; ++p) {
      if (row[p] == 0) continue;
      (p < nu ? view.lu(p) : view.lx(p - nu)) += m * row[p];
      for (int q = p < nu ? 0 : nu; q < width; ++q) {
        const double entry = penalty_ * row[p] * row[q];
        if (p >= nu) {
          view.lxx(p - nu, q - nu) += entry;
        } else if (q < nu) {
          view.luu(p, q) += entry;
        } else {
          view.lux(p, q - nu) += entry;
        }
      }
    }
  }
}

void AugmentedLagrangianSolver::Lagrangian::Expand(int first, int last, const double* xs,
                                                   const double* us, const Knot* knots,
                                                   Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  problem_.Expand(first, last, xs, us, knots_.data(), *b.problem);
  for (int t = first; t < last; ++t) {
    CopyExpansion(t, knots[t]);
    AddConstraints(t, xs + t * state_dim(), us + t * layout_.nu, knots[t], b);
  }
}

void AugmentedLagrangianSolver::Lagrangian::ExpandTerminal(const double* x, const Knot& knot,
                                                           Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  problem_.ExpandTerminal(x, knots_.back(), *b.problem);
  CopyExpansion(horizon(), knot);
  AddConstraints(horizon(), x, nullptr, knot, b);
}

void AugmentedLagrangianSolver::Lagrangian::Reset(double penalty) {
  std::ranges::fill(multipliers_, 0.0);
  penalty_ = penalty;
}

template <typename Visit>
void AugmentedLagrangianSolver::Lagrangian::ForEach(const double* xs, const double* us,
                                                    Visit visit) {
  auto& b = static_cast<Buffers&>(*workspace_);
  for (int t = 0; t <= horizon(); ++t) {
    const double* u = t < horizon() ? us + t * layout_.nu : nullptr;
    constraints_.Evaluate(t, xs + t * state_dim(), u, b.g.data());
    for (int i = 0; i < constraints_.count(t); ++i) visit(t, i, b.g[static_cast<size_t>(i)]);
  }
}

void AugmentedLagrangianSolver::Lagrangian::UpdateMultipliers(const double* xs, const double* us) {
  ForEach(xs, us, [this](int t, int i, double g) {
    multipliers_[offset(t) + static_cast<size_t>(i)] = Multiplier(t, i, g);
  });
}

AugmentedLagrangianSolver::Lagrangian::Residual AugmentedLagrangianSolver::Lagrangian::Measure(
    const double* xs, const double* us) {
  Residual residual;
  ForEach(xs, us, [&](int t, int i, double g) {
    const bool equality = i < constraints_.equalities(t);
    const double lambda = multipliers_[offset(t) + static_cast<size_t>(i)];
    const double violation = equality ? std::abs(g) : MaxOrNan(0.0, g);
    const double slack = equality ? violation : std::abs(MaxOrNan(g, -lambda / penalty_));
    residual.violation = MaxOrNan(residual.violation, violation);
    residual.complementarity = MaxOrNan(residual.complementarity, slack);
  });
  return residual;
}

double AugmentedLagrangianSolver::Lagrangian::Cost(const double* xs, const double* us) {
  auto& b = static_cast<Buffers&>(*workspace_);
  double sum = 0;
  for (int t = 0; t < horizon(); ++t) {
    sum += problem_.Step(t, xs + t * state_dim(), us + t * layout_.nu, b.next.data(), *b.problem);
  }
  return sum + problem_.TerminalCost(xs + horizon() * state_dim(), *b.problem);
}

AugmentedLagrangianSolver::AugmentedLagrangianSolver(const TrajectoryProblem& problem,
                                                     const TrajectoryConstraints& constraints,
                                                     AugmentedLagrangianOptions options,
                                                     Executor* executor)
    : options_(options) {
  ValidateOptions("augmented lagrangian", options_);
  if (options_.max_penalty < options_.initial_penalty) {
    throw InputError(
        fmt::format("augmented lagrangian: max_penalty: found {}, expected at least "
                    "initial_penalty, {}",
                    options_.max_penalty, options_.initial_penalty));
  }
  lagrangian_ = std::make_unique<Lagrangian>(problem, constraints);
  solver_ = std::make_unique<IlqrSolver>(*lagrangian_, options_.solver, executor);
  actions_.resize(solver_->actions().size());
}

AugmentedLagrangianSolver::~AugmentedLagrangianSolver() = default;

std::span<const double> AugmentedLagrangianSolver::multipliers(int t) const {
  return lagrangian_->multipliers(t);
}

ConstrainedResult AugmentedLagrangianSolver::Solve(std::span<const double> x0,
                                                   std::span<const double> actions,
                                                   std::span<const double> states) {
  constexpr double kEnoughProgress = 0.25;
  ConstrainedResult result;
  result.status = ConstrainedStatus::kIterationLimit;
  lagrangian_->Reset(options_.initial_penalty);
  double previous = INFINITY;
  while (result.rounds < options_.max_rounds) {
    result.inner = solver_->Solve(x0, result.rounds == 0 ? actions : actions_,
                                  result.rounds == 0 ? states : std::span<const double>{});
    ++result.rounds;
    result.iterations += result.inner.iterations;
    const double* xs = solver_->states().data();
    const double* us = solver_->actions().data();
    std::ranges::copy(solver_->actions(), actions_.begin());
    const auto residual = lagrangian_->Measure(xs, us);
    result.violation = residual.violation;
    result.cost = lagrangian_->Cost(xs, us);
    const IlqrStatus inner = result.inner.status;
    if (inner == IlqrStatus::kInvalidStart || inner == IlqrStatus::kInvalidDerivatives ||
        inner == IlqrStatus::kIndefinite || inner == IlqrStatus::kStopped ||
        inner == IlqrStatus::kDeadline || !std::isfinite(residual.violation)) {
      result.status = ConstrainedStatus::kFailed;
      break;
    }
    lagrangian_->UpdateMultipliers(xs, us);
    if (residual.complementarity <= options_.tolerance && inner != IlqrStatus::kIterationLimit) {
      result.status = ConstrainedStatus::kConverged;
      break;
    }
    const bool progress = residual.violation <= kEnoughProgress * previous;
    if (!progress && lagrangian_->penalty() >= options_.max_penalty &&
        residual.violation > options_.tolerance) {
      result.status = ConstrainedStatus::kViolated;
      break;
    }
    previous = residual.violation;
    if (!progress) {
      lagrangian_->set_penalty(
          std::min(options_.max_penalty, options_.penalty_factor * lagrangian_->penalty()));
    }
  }
  result.penalty = lagrangian_->penalty();
  return result;
}

}  // namespace foreplan

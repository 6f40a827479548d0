#include "foreplan/trajopt/lqr.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/row_kernels.h"
#include "foreplan/trajopt/backward_pass.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>;
using ConstStrided = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;

void CheckShape(const std::string& field, const MatrixXd& found, Eigen::Index rows,
                Eigen::Index columns, bool may_be_empty = false) {
  if (may_be_empty && found.size() == 0) return;
  if (found.rows() != rows || found.cols() != columns) {
    throw InputError(fmt::format("lqr: {}: found {} x {}, expected {} x {}", field, found.rows(),
                                 found.cols(), rows, columns));
  }
  if (!found.allFinite()) {
    throw InputError(fmt::format("lqr: {}: found NaN or infinity, expected finite numbers", field));
  }
}

void CheckSymmetric(const std::string& field, const MatrixXd& found) {
  const double asymmetry = (found - found.transpose()).cwiseAbs().maxCoeff();
  if (asymmetry > 1e-9 * (1 + found.cwiseAbs().maxCoeff())) {
    throw InputError(
        fmt::format("lqr: {}: found asymmetry {}, expected a symmetric matrix", field, asymmetry));
  }
}

KnotLayout CheckedLayout(const LqrProblem& problem) {
  if (problem.horizon < 1) {
    throw InputError(fmt::format("lqr: horizon: found {}, expected at least 1", problem.horizon));
  }
  const size_t count = problem.stages.size();
  if (count != 1 && count != static_cast<size_t>(problem.horizon)) {
    throw InputError(
        fmt::format("lqr: stages: found {}, expected 1 or {}", count, problem.horizon));
  }
  const Eigen::Index nx = problem.stages.front().A.rows();
  const Eigen::Index nu = problem.stages.front().B.cols();
  if (nx < 1 || nu < 1) {
    throw InputError(
        fmt::format("lqr: found {} states and {} actions, expected at least 1 of each", nx, nu));
  }
  for (size_t t = 0; t < count; ++t) {
    const LqrStage& s = problem.stages[t];
    const auto name = [&](const char* field) { return fmt::format("stage {}: {}", t, field); };
    CheckShape(name("A"), s.A, nx, nx);
    CheckShape(name("B"), s.B, nx, nu);
    CheckShape(name("c"), s.c, nx, 1, true);
    CheckShape(name("Q"), s.Q, nx, nx);
    CheckShape(name("R"), s.R, nu, nu);
    CheckShape(name("S"), s.S, nu, nx, true);
    CheckShape(name("q"), s.q, nx, 1, true);
    CheckShape(name("r"), s.r, nu, 1, true);
    CheckSymmetric(name("Q"), s.Q);
    CheckSymmetric(name("R"), s.R);
  }
  CheckShape("terminal Q", problem.terminal_Q, nx, nx);
  CheckShape("terminal q", problem.terminal_q, nx, 1, true);
  CheckSymmetric("terminal Q", problem.terminal_Q);
  return {static_cast<int>(nx), static_cast<int>(nu)};
}

struct LqWorkspace final : TrajectoryProblem::Workspace {
  explicit LqWorkspace(KnotLayout layout)
      : z(static_cast<size_t>(layout.ldz())), product(static_cast<size_t>(layout.ldz())) {}
  AlignedVector<double> z;        // (u | x), padded: [ldz]
  AlignedVector<double> product;  // [ldz]
};

}  // namespace

LinearQuadraticProblem::LinearQuadraticProblem(const LqrProblem& problem)
    : horizon_(problem.horizon),
      layout_(CheckedLayout(problem)),
      time_invariant_(problem.stages.size() == 1) {
  const size_t stage_size = layout_.knot_size() + static_cast<size_t>(layout_.ldx());
  memory_.resize(stage_size * (problem.stages.size() + 1));
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  double* at = memory_.data();
  const auto take_stage = [&] {
    Stage stage;
    stage.knot = Knot::Take(layout_, at);
    stage.drift = std::exchange(at, at + layout_.ldx());
    return stage;
  };
  for (const LqrStage& s : problem.stages) {
    Stage stage = take_stage();
    stage.has_cross = s.S.size() > 0;
    const Knot& knot = stage.knot;
    Strided(knot.jacobian, nx, nu, Eigen::OuterStride<>(layout_.ldz())) = s.B;
    Strided(knot.jacobian + layout_.ldu(), nx, nx, Eigen::OuterStride<>(layout_.ldz())) = s.A;
    Strided(knot.hessian_u, nu, nu, Eigen::OuterStride<>(layout_.ldz())) = s.R;
    if (s.S.size() > 0) {
      Strided(knot.hessian_u + layout_.ldu(), nu, nx, Eigen::OuterStride<>(layout_.ldz())) = s.S;
    }
    Strided(knot.hessian_x, nx, nx, Eigen::OuterStride<>(layout_.ldx())) = s.Q;
    if (s.r.size() > 0) std::copy_n(s.r.data(), nu, knot.gradient);
    if (s.q.size() > 0) std::copy_n(s.q.data(), nx, knot.gradient + layout_.ldu());
    if (s.c.size() > 0) std::copy_n(s.c.data(), nx, stage.drift);
    stages_.push_back(stage);
  }
  terminal_ = take_stage();
  Strided(terminal_.knot.hessian_x, nx, nx, Eigen::OuterStride<>(layout_.ldx())) =
      problem.terminal_Q;
  if (problem.terminal_q.size() > 0) {
    std::copy_n(problem.terminal_q.data(), nx, terminal_.knot.gradient + layout_.ldu());
  }
}

std::unique_ptr<TrajectoryProblem::Workspace> LinearQuadraticProblem::MakeWorkspace() const {
  return std::make_unique<LqWorkspace>(layout_);
}

void LinearQuadraticProblem::Bind(int t, Knot& knot) const {
  const Knot& shared = t == horizon_ ? terminal_.knot : stage(t).knot;
  knot.jacobian = shared.jacobian;
  knot.hessian_u = shared.hessian_u;
  knot.hessian_x = shared.hessian_x;
}

double LinearQuadraticProblem::Step(int t, const double* x, const double* u, double* next,
                                    Workspace& workspace) const {
  const Stage& s = stage(t);
  const int ldu = layout_.ldu();
  const int ldx = layout_.ldx();
  const int ldz = layout_.ldz();
  double* z = static_cast<LqWorkspace&>(workspace).z.data();
  std::copy_n(u, layout_.nu, z);
  std::copy_n(x, layout_.nx, z + ldu);
  double* product = static_cast<LqWorkspace&>(workspace).product.data();
  // l = u'(1/2 R u + S x + r) + x'(1/2 Q x + q)
  double cost = 0;
  for (int i = 0; i < layout_.nu; ++i) {
    const double* row = s.knot.hessian_u + i * ldz;
    cost += z[i] * (0.5 * row_kernels::Dot(ldu, row, z) + s.knot.gradient[i]);
  }
  if (s.has_cross) {
    row_kernels::MultiplyVector(layout_.nu, ldx, {s.knot.hessian_u + ldu, ldz}, z + ldu, product);
    for (int i = 0; i < layout_.nu; ++i) cost += z[i] * product[i];
  }
  row_kernels::MultiplyVector(layout_.nx, ldx, {s.knot.hessian_x, ldx}, z + ldu, product);
  for (int i = 0; i < layout_.nx; ++i) {
    cost += x[i] * (0.5 * product[i] + s.knot.gradient[ldu + i]);
  }
  row_kernels::MultiplyVector(layout_.nx, ldz, {s.knot.jacobian, ldz}, z, next);
  for (int i = 0; i < layout_.nx; ++i) next[i] += s.drift[i];
  return cost;
}

double LinearQuadraticProblem::TerminalCost(const double* x, Workspace& workspace) const {
  double* z = static_cast<LqWorkspace&>(workspace).z.data();
  std::copy_n(x, layout_.nx, z + layout_.ldu());
  double cost = 0;
  for (int i = 0; i < layout_.nx; ++i) {
    const double* row = terminal_.knot.hessian_x + i * layout_.ldx();
    cost += x[i] * (0.5 * row_kernels::Dot(layout_.ldx(), row, z + layout_.ldu()) +
                    terminal_.knot.gradient[layout_.ldu() + i]);
  }
  return cost;
}

void LinearQuadraticProblem::Expand(int first, int last, const double* xs, const double* us,
                                    const Knot* knots, Workspace& workspace) const {
  const int ldu = layout_.ldu();
  const int ldx = layout_.ldx();
  double* z = static_cast<LqWorkspace&>(workspace).z.data();
  for (int t = first; t < last; ++t) {
    const Stage& s = stage(t);
    const double* u = us + t * layout_.nu;
    std::copy_n(u, layout_.nu, z);
    std::copy_n(xs + t * layout_.nx, layout_.nx, z + ldu);
    // lu = R u + S x + r, lx = Q x + S'u + q
    double* gradient = knots[t].gradient;
    for (int i = 0; i < layout_.nu; ++i) {
      gradient[i] = s.knot.gradient[i] +
                    row_kernels::Dot(layout_.ldz(), s.knot.hessian_u + i * layout_.ldz(), z);
    }
    row_kernels::MultiplyVector(layout_.nx, ldx, {s.knot.hessian_x, ldx}, z + ldu, gradient + ldu);
    for (int i = 0; i < layout_.nx; ++i) gradient[ldu + i] += s.knot.gradient[ldu + i];
    if (!s.has_cross) continue;
    row_kernels::AddRows(layout_.nu, ldx, u, {s.knot.hessian_u + ldu, layout_.ldz()},
                         gradient + ldu);
  }
}

void LinearQuadraticProblem::ExpandTerminal(const double* x, const Knot& knot,
                                            Workspace& workspace) const {
  const int ldu = layout_.ldu();
  double* z = static_cast<LqWorkspace&>(workspace).z.data();
  std::copy_n(x, layout_.nx, z + ldu);
  for (int i = 0; i < layout_.nx; ++i) {
    knot.gradient[ldu + i] =
        terminal_.knot.gradient[ldu + i] +
        row_kernels::Dot(layout_.ldx(), terminal_.knot.hessian_x + i * layout_.ldx(), z + ldu);
  }
}

namespace {

/// The expansion of an LQR problem around zero: gradients are q and r, and the drift is a gap of
/// the trajectory 0.
struct ExpansionAroundZero {
  ExpansionAroundZero(const LqrProblem& problem, const LinearQuadraticProblem& lq,
                      KnotLayout layout)
      : knots(static_cast<size_t>(problem.horizon) + 1),
        gradients(knots.size() * static_cast<size_t>(layout.ldz())),
        gaps(static_cast<size_t>(problem.horizon) * static_cast<size_t>(layout.ldx())) {
    for (int t = 0; t <= problem.horizon; ++t) {
      Knot& knot = knots[static_cast<size_t>(t)];
      knot.gradient = gradients.data() + t * layout.ldz();
      lq.Bind(t, knot);
      double* lx = knot.gradient + layout.ldu();
      if (t == problem.horizon) {
        if (problem.terminal_q.size() > 0) std::copy_n(problem.terminal_q.data(), layout.nx, lx);
        continue;
      }
      const LqrStage& s = problem.stage(t);
      if (s.r.size() > 0) std::copy_n(s.r.data(), layout.nu, knot.gradient);
      if (s.q.size() > 0) std::copy_n(s.q.data(), layout.nx, lx);
      if (s.c.size() > 0) std::copy_n(s.c.data(), layout.nx, gaps.data() + t * layout.ldx());
    }
  }

  std::vector<Knot> knots;          // [N + 1]
  AlignedVector<double> gradients;  // [N + 1 x ldz]
  AlignedVector<double> gaps;       // [N x ldx]
};

/// u = K x + k, covariance alpha Quu^-1.
LinearGaussianStep StepOf(const BackwardPass& backward, int t, KnotLayout layout, double alpha) {
  const int nx = layout.nx;
  const int nu = layout.nu;
  LinearGaussianStep step;
  step.action = VectorXd::Zero(nu);
  step.state = VectorXd::Zero(nx);
  step.feedforward = Eigen::Map<const VectorXd>(backward.feedforward(t), nu);
  step.feedback = ConstStrided(backward.feedback(t), nu, nx, Eigen::OuterStride<>(layout.ldx()));
  step.covariance = alpha * backward.InverseActionHessian(t);
  return step;
}

/// constant_t = constant_{t+1} + 1/2 c'V'c + v''c - 1/2 k'Quu k: the minimum over u at x = 0, where
/// Qu = -Quu k.
std::vector<double> Constants(const LqrProblem& problem, const LqrSolution& solution,
                              const BackwardPass& backward, KnotLayout layout) {
  std::vector<double> constant(static_cast<size_t>(problem.horizon) + 1);
  for (int t = problem.horizon - 1; t >= 0; --t) {
    const auto next = static_cast<size_t>(t) + 1;
    const VectorXd& c = problem.stage(t).c;
    const double drift =
        c.size() > 0 ? c.dot(0.5 * (solution.V[next] * c) + solution.v[next]) : 0.0;
    const VectorXd& k = solution.policy.step(t).feedforward;
    const MatrixXd Quu = ConstStrided(backward.action_hessian(t), layout.nu, layout.nu,
                                      Eigen::OuterStride<>(layout.ldu()));
    constant[next - 1] = constant[next] + drift - 0.5 * k.dot(Quu * k);
  }
  return constant;
}

}  // namespace

LqrSolution SolveLqr(const LqrProblem& problem, double alpha) {
  if (!(alpha >= 0) || !std::isfinite(alpha)) {
    throw InputError(fmt::format("lqr: alpha: found {}, expected a finite number >= 0", alpha));
  }
  const LinearQuadraticProblem lq(problem);
  const KnotLayout layout{lq.state_dim(), lq.action_dim()};
  const ExpansionAroundZero expansion(problem, lq, layout);

  LqrSolution solution;
  BackwardPass backward(layout, problem.horizon, /*bounded=*/false, /*keep_values=*/true);
  const BackwardStatus status =
      backward.Run({.knots = expansion.knots.data(), .gaps = expansion.gaps.data()});
  if (status != BackwardStatus::kOk) {
    solution.status =
        status == BackwardStatus::kIndefinite ? LqrStatus::kIndefinite : LqrStatus::kNotFinite;
    solution.failed_step = backward.failed_knot();
    return solution;
  }
  std::vector<LinearGaussianStep> steps;
  for (int t = 0; t <= problem.horizon; ++t) {
    solution.V.emplace_back(ConstStrided(backward.value_hessian(t), layout.nx, layout.nx,
                                         Eigen::OuterStride<>(layout.ldx())));
    solution.v.emplace_back(Eigen::Map<const VectorXd>(backward.value_gradient(t), layout.nx));
    if (t < problem.horizon) steps.push_back(StepOf(backward, t, layout, alpha));
  }
  solution.policy = LinearGaussianPolicy(std::move(steps));
  solution.constant = Constants(problem, solution, backward, layout);
  return solution;
}

StationaryLqr SolveStationaryLqr(const LqrStage& stage) {
  LqrProblem checked;
  checked.horizon = 1;
  checked.stages = {stage};
  checked.terminal_Q = stage.Q;
  const KnotLayout layout = CheckedLayout(checked);
  if (stage.c.size() > 0 || stage.q.size() > 0 || stage.r.size() > 0) {
    throw InputError("lqr: stationary: found c, q or r, expected none");
  }
  StationaryLqr result;
  const Eigen::LLT<MatrixXd> R(stage.R);
  if (R.info() != Eigen::Success) {
    result.status = LqrStatus::kIndefinite;
    return result;
  }
  // Without the cross term: u = w - R^-1 S x, A_s = A - B R^-1 S, Q_s = Q - S'R^-1 S.
  const MatrixXd S = stage.S.size() > 0 ? stage.S : MatrixXd::Zero(layout.nu, layout.nx);
  const MatrixXd identity = MatrixXd::Identity(layout.nx, layout.nx);
  MatrixXd A = stage.A - stage.B * R.solve(S);
  MatrixXd G = stage.B * R.solve(stage.B.transpose());
  MatrixXd H = stage.Q - S.transpose() * R.solve(S);
  // A <- A (I + G H)^-1 A, G <- G + A (I + G H)^-1 G A', H <- H + A' H (I + G H)^-1 A; H -> V.
  constexpr int kDoublings = 60;
  bool converged = false;
  while (!converged && result.iterations < kDoublings) {
    ++result.iterations;
    const Eigen::PartialPivLU<MatrixXd> lu(identity + G * H);
    const MatrixXd WA = lu.solve(A);
    const MatrixXd WG = lu.solve(G);
    const MatrixXd step = A.transpose() * H * WA;
    G += A * WG * A.transpose();
    A = A * WA;
    H += step;
    G = 0.5 * (G + G.transpose()).eval();
    H = 0.5 * (H + H.transpose()).eval();
    if (!H.allFinite() || !G.allFinite()) break;
    converged = step.stableNorm() <= 1e-14 * H.stableNorm();
  }
  const MatrixXd Quu = stage.R + stage.B.transpose() * H * stage.B;
  const Eigen::LLT<MatrixXd> factor(Quu);
  if (!converged || factor.info() != Eigen::Success) {
    result.status = LqrStatus::kNotConverged;
    return result;
  }
  const MatrixXd Qux = stage.B.transpose() * H * stage.A + S;
  result.V = H;
  result.K = -factor.solve(Qux);
  // Without a solution the doubling may stand still far away from any, by rounding.
  constexpr double kRounding = 1e-6;
  const MatrixXd residual =
      stage.Q + stage.A.transpose() * H * stage.A + Qux.transpose() * result.K - H;
  if (!(residual.stableNorm() <= kRounding * H.stableNorm())) {
    result.status = LqrStatus::kNotConverged;
  }
  return result;
}

TrajectoryDistribution PropagateDistribution(const LqrProblem& problem,
                                             const LinearGaussianPolicy& policy,
                                             const VectorXd& mean, const MatrixXd& covariance,
                                             const MatrixXd& noise) {
  const KnotLayout layout = CheckedLayout(problem);
  CheckShape("start mean", mean, layout.nx, 1);
  CheckShape("start covariance", covariance, layout.nx, layout.nx);
  CheckShape("noise", noise, layout.nx, layout.nx);
  if (policy.horizon() != problem.horizon) {
    throw InputError(
        fmt::format("lqr: policy: found {} steps, expected {}", policy.horizon(), problem.horizon));
  }
  LinearGaussianDynamics dynamics{
      .initial_mean = mean, .initial_covariance = covariance, .steps = {}};
  for (int t = 0; t < problem.horizon; ++t) {
    const LqrStage& s = problem.stage(t);
    const VectorXd drift = s.c.size() > 0 ? s.c : VectorXd::Zero(layout.nx);
    dynamics.steps.push_back({.A = s.A, .B = s.B, .c = drift, .covariance = noise});
  }
  return PropagateDistribution(dynamics, policy);
}

}  // namespace foreplan

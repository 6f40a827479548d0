// The reference problems solved by Crocoddyl, as rows like those of `foreplan bench trajopt
// --json`.
//
// Compiled like the wheel (baseline x86-64), against its headers and library. The formulas and
// their derivatives are the same code that foreplan solves.
#include <algorithm>
#include <chrono>
#include <crocoddyl/core/action-base.hpp>
#include <crocoddyl/core/solvers/box-ddp.hpp>
#include <crocoddyl/core/solvers/box-qp.hpp>
#include <crocoddyl/core/solvers/ddp.hpp>
#include <crocoddyl/core/solvers/fddp.hpp>
#include <crocoddyl/core/states/euclidean.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/trajopt/testing/reference_formulas.h"

namespace {

using crocoddyl::ActionDataAbstract;
using crocoddyl::ActionModelAbstract;
using crocoddyl::ShootingProblem;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using VectorRef = Eigen::Ref<const VectorXd>;

// --- a formula of foreplan as an action model
// -----------------------------------------------------

template <typename Formula>
struct FormulaData final : ActionDataAbstract {
  static constexpr foreplan::KnotLayout kLayout{Formula::kStateDim, Formula::kActionDim};

  explicit FormulaData(ActionModelAbstract* model, const Formula& formula)
      : ActionDataAbstract(model), memory(512, 0.0) {
    knot.jacobian = memory.data();
    knot.hessian_u = knot.jacobian + kLayout.jacobian_size();
    knot.hessian_x = knot.hessian_u + kLayout.hessian_u_size();
    knot.gradient = knot.hessian_x + kLayout.hessian_x_size();
    formula.BindConstants(typename Formula::View(knot, kLayout));
    Luu.setZero();
    for (int i = 0; i < Formula::kActionDim; ++i) {
      Luu(i, i) = typename Formula::View(knot, kLayout).luu(i, i);
    }
  }
  std::vector<double> memory;
  foreplan::Knot knot;
};

template <typename Formula>
class FormulaModel final : public ActionModelAbstract {
 public:
  using Data = FormulaData<Formula>;
  using View = typename Formula::View;
  static constexpr int kNx = Formula::kStateDim;
  static constexpr int kNu = Formula::kActionDim;

  FormulaModel(const Formula& formula)
      : ActionModelAbstract(std::make_shared<crocoddyl::StateVector>(kNx), kNu), formula_(formula) {
    if (formula.low.empty()) return;
    set_u_lb(Eigen::Map<const VectorXd>(formula.low.data(), kNu));
    set_u_ub(Eigen::Map<const VectorXd>(formula.high.data(), kNu));
  }

  void calc(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x,
            const VectorRef& u) override {
    if constexpr (requires { formula_.StepAndCost(0, x.data(), u.data(), data->xnext.data()); }) {
      data->cost = formula_.StepAndCost(0, x.data(), u.data(), data->xnext.data());
    } else {
      formula_.Step(0, x.data(), u.data(), data->xnext.data());
      data->cost = formula_.StageCost(0, x.data(), u.data());
    }
  }
  void calc(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x) override {
    data->xnext = x;
    if constexpr (requires { formula_.TerminalCost(x.data()); }) {
      data->cost = formula_.TerminalCost(x.data());
    } else {
      double r[Formula::kTerminalResiduals];
      formula_.TerminalResidual(x.data(), r);
      data->cost = 0;
      for (const double entry : r) data->cost += 0.5 * entry * entry;
    }
  }
  void calcDiff(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x,
                const VectorRef& u) override {
    const View view(static_cast<Data&>(*data).knot, Data::kLayout);
    formula_.ExpandStep(0, x.data(), u.data(), view);
    formula_.ExpandStage(0, x.data(), u.data(), view);
    for (int i = 0; i < kNx; ++i) {
      for (int j = 0; j < kNx; ++j) data->Fx(i, j) = view.A(i, j);
      for (int j = 0; j < kNu; ++j) data->Fu(i, j) = view.B(i, j);
    }
    for (int j = 0; j < kNu; ++j) data->Lu[j] = view.lu(j);
    CopyState(view, *data);
  }
  void calcDiff(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x) override {
    const View view(static_cast<Data&>(*data).knot, Data::kLayout);
    formula_.ExpandEnd(x.data(), view);
    CopyState(view, *data);
  }
  std::shared_ptr<ActionDataAbstract> createData() override {
    return std::make_shared<Data>(this, formula_);
  }
  [[nodiscard]] std::shared_ptr<crocoddyl::ActionModelBase> cloneAsDouble() const override {
    return std::make_shared<FormulaModel>(*this);
  }
  [[nodiscard]] std::shared_ptr<crocoddyl::ActionModelBase> cloneAsFloat() const override {
    return nullptr;  // these models exist in double only
  }

 private:
  // The cost's Hessians by the state are diagonal in all formulas.
  static void CopyState(const View& view, ActionDataAbstract& data) {
    for (int i = 0; i < kNx; ++i) {
      data.Lx[i] = view.lx(i);
      data.Lxx(i, i) = view.lxx(i, i);
    }
  }

  Formula formula_;
};

// --- linear-quadratic models, matrices copied into the nodes once
// ---------------------------------

struct Lq {
  MatrixXd A, B, Q, R;
  VectorXd c;
};

class LqModel final : public ActionModelAbstract {
 public:
  explicit LqModel(const Lq& lq)
      : ActionModelAbstract(std::make_shared<crocoddyl::StateVector>(lq.A.rows()), lq.B.cols()),
        lq_(lq) {}
  void calc(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x,
            const VectorRef& u) override {
    data->xnext.noalias() = lq_.A * x;
    data->xnext.noalias() += lq_.B * u;
    data->xnext += lq_.c;
    data->Lx.noalias() = lq_.Q * x;
    data->Lu.noalias() = lq_.R * u;
    data->cost = 0.5 * (x.dot(data->Lx) + u.dot(data->Lu));
  }
  void calc(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x) override {
    data->Lx.noalias() = lq_.Q * x;
    data->cost = 0.5 * x.dot(data->Lx);
  }
  void calcDiff(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x,
                const VectorRef& u) override {
    data->Lx.noalias() = lq_.Q * x;
    data->Lu.noalias() = lq_.R * u;
  }
  void calcDiff(const std::shared_ptr<ActionDataAbstract>& data, const VectorRef& x) override {
    data->Lx.noalias() = lq_.Q * x;
  }
  std::shared_ptr<ActionDataAbstract> createData() override {
    auto data = std::make_shared<ActionDataAbstract>(this);
    data->Fx = lq_.A;
    data->Fu = lq_.B;
    data->Lxx = lq_.Q;
    data->Luu = lq_.R;
    return data;
  }
  [[nodiscard]] std::shared_ptr<crocoddyl::ActionModelBase> cloneAsDouble() const override {
    return std::make_shared<LqModel>(*this);
  }
  [[nodiscard]] std::shared_ptr<crocoddyl::ActionModelBase> cloneAsFloat() const override {
    return nullptr;
  }

 private:
  Lq lq_;
};

class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  double Next() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return 2.0 * (static_cast<double>(state_ >> 11) * 0x1p-53) - 1.0;
  }
  MatrixXd Matrix(int rows, int columns) {
    MatrixXd m(rows, columns);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) m(i, j) = Next();
    }
    return m;
  }

 private:
  uint64_t state_;
};

Lq Lq37x12(VectorXd& x0) {
  Numbers numbers(1);
  Lq lq;
  lq.A = 0.95 * MatrixXd::Identity(37, 37) + 0.02 * numbers.Matrix(37, 37);
  lq.B = 0.1 * numbers.Matrix(37, 12);
  const MatrixXd M3 = numbers.Matrix(37, 37);
  lq.Q = 0.5 * MatrixXd::Identity(37, 37) + M3 * M3.transpose() / 37;
  const MatrixXd M4 = numbers.Matrix(12, 12);
  lq.R = 0.1 * MatrixXd::Identity(12, 12) + 0.1 * (M4 * M4.transpose()) / 12;
  lq.c = VectorXd::Zero(37);
  x0 = numbers.Matrix(37, 1);
  return lq;
}

Lq Lq56x22() {
  Lq lq;
  lq.A = MatrixXd::Identity(56, 56);
  lq.B = MatrixXd::Identity(56, 22);
  lq.Q = MatrixXd::Identity(56, 56);
  lq.Q(0, 0) = 2;
  lq.R = 0.01 * MatrixXd::Identity(22, 22);
  lq.c = VectorXd::Constant(56, 0.1);
  return lq;
}

// --- measuring
// ------------------------------------------------------------------------------------

bool first_row = true;

void Print(const std::string& problem, const std::string& variant, double iterations, double cost,
           double us_total, const char* status) {
  std::printf(
      "%s\n  {\"problem\": \"%s\", \"variant\": \"%s\", \"iterations\": %g, \"final_cost\": %.13g, "
      "\"us_per_iteration\": %.4f, \"us_total\": %.4f, \"status\": \"%s\"}",
      first_row ? "[" : ",", problem.c_str(), variant.c_str(), iterations, cost,
      us_total / std::max(1.0, iterations), us_total, status);
  first_row = false;
}

/// Median of enough repeats for about 0.3 s.
template <typename Function>
double MedianMicroseconds(Function&& function) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> us;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(300);
  while (us.size() < 5 || (us.size() < 300 && Clock::now() < end)) {
    const Clock::time_point start = Clock::now();
    function();
    us.push_back(1e6 * std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(us.begin(), us.begin() + static_cast<long>(us.size() / 2), us.end());
  return us[us.size() / 2];
}

struct Setup {
  std::string problem;
  std::string variant;
  int horizon;
  std::shared_ptr<ActionModelAbstract> running;
  std::shared_ptr<ActionModelAbstract> terminal;
  VectorXd x0;
  VectorXd u_guess;
  bool feasible = true;
  std::vector<VectorXd> states = {};  // of an infeasible guess
};

template <typename Solver>
void Measure(const Setup& s, double stop, int limit) {
  const auto n = static_cast<size_t>(s.horizon);
  auto problem = std::make_shared<ShootingProblem>(
      s.x0, std::vector<std::shared_ptr<ActionModelAbstract>>(n, s.running), s.terminal);
  problem->set_nthreads(1);
  std::vector<VectorXd> us(n, s.u_guess);
  const std::vector<VectorXd> xs = s.feasible ? problem->rollout_us(us) : s.states;
  Solver solver(problem);
  if (stop > 0) solver.set_th_stop(stop);
  bool converged = false;
  const auto solve = [&] {
    converged = solver.solve(xs, us, static_cast<size_t>(limit), s.feasible, 1e-9);
  };
  solve();
  // The index of the last iteration, or the limit.
  const double iterations =
      std::min(static_cast<double>(solver.get_iter() + 1), static_cast<double>(limit));
  const double cost = solver.get_cost();
  const double us_total = MedianMicroseconds(solve);
  Print(s.problem, s.variant, std::max(1.0, iterations), cost, us_total,
        converged || limit == 1 ? "converged" : "not converged");
}

template <typename Formula>
Setup MakeSetup(const char* name, const char* variant, const Formula& formula, VectorXd x0,
                double u) {
  return {name,
          variant,
          formula.horizon,
          std::make_shared<FormulaModel<Formula>>(formula),
          std::make_shared<FormulaModel<Formula>>(formula),
          std::move(x0),
          VectorXd::Constant(Formula::kActionDim, u)};
}

Setup MakeLqSetup(const char* name, const std::string& variant, const Lq& lq, int horizon,
                  const VectorXd& x0) {
  const auto model = std::make_shared<LqModel>(lq);
  return {name, variant, horizon, model, model, x0, VectorXd::Zero(lq.B.cols())};
}

void MeasureBoxQp(int n) {
  Numbers numbers(100 + static_cast<uint64_t>(n));
  const MatrixXd M = numbers.Matrix(n, n);
  const MatrixXd H = M * M.transpose() / n + 0.1 * MatrixXd::Identity(n, n);
  const VectorXd q = numbers.Matrix(n, 1);
  const VectorXd low = VectorXd::Zero(n);
  const VectorXd high = VectorXd::Ones(n);
  const VectorXd middle = VectorXd::Constant(n, 0.5);
  crocoddyl::BoxQP solver(static_cast<size_t>(n));
  solver.set_reg(0);
  VectorXd x;
  const double cold = MedianMicroseconds([&] { x = solver.solve(H, q, low, high, middle).x; });
  Print("box_qp_" + std::to_string(n), "cold", 1, 0.5 * x.dot(H * x) + q.dot(x), cold, "converged");
  const VectorXd solution = x;
  const double warm = MedianMicroseconds([&] { x = solver.solve(H, q, low, high, solution).x; });
  Print("box_qp_" + std::to_string(n), "warm", 1, 0.5 * x.dot(H * x) + q.dot(x), warm, "converged");
}

template <typename Formula>
Formula Bounded(Formula formula, double low, double high) {
  formula.low.assign(Formula::kActionDim, low);
  formula.high.assign(Formula::kActionDim, high);
  return formula;
}

void Run() {
  using crocoddyl::SolverBoxDDP;
  using crocoddyl::SolverDDP;
  using crocoddyl::SolverFDDP;
  VectorXd x0;
  const Lq lq37 = Lq37x12(x0);
  Measure<SolverDDP>(MakeLqSetup("lqr_37x12", "free", lq37, 100, x0), 0, 1);
  for (const int horizon : {8, 64, 512}) {
    Measure<SolverDDP>(
        MakeLqSetup("lqr_56x22", std::to_string(horizon), Lq56x22(), horizon, VectorXd::Zero(56)),
        0, 1);
  }
  Measure<SolverDDP>(MakeSetup("unicycle", "free", foreplan::UnicycleParking{},
                               VectorXd(Eigen::Vector3d(1, 0, 0)), 0),
                     0, 100);
  const VectorXd hanging = Eigen::Vector4d(0, 3.141592653589793, 0, 0);
  const foreplan::CartPoleSwingUp cartpole;
  Measure<SolverDDP>(MakeSetup("cartpole", "free", cartpole, hanging, 1), 0, 500);
  Measure<SolverBoxDDP>(MakeSetup("cartpole", "bounded", Bounded(cartpole, -10, 10), hanging, 1),
                        1e-9, 500);
  Setup infeasible = MakeSetup("cartpole", "infeasible", cartpole, hanging, 0);
  infeasible.feasible = false;
  infeasible.states.assign(51, VectorXd::Zero(4));
  Measure<SolverFDDP>(infeasible, 0, 500);
  const foreplan::AcrobotSwingUp acrobot;
  Measure<SolverDDP>(MakeSetup("acrobot", "free", acrobot, VectorXd::Zero(4), 0), 0, 500);
  Measure<SolverBoxDDP>(
      MakeSetup("acrobot", "bounded", Bounded(acrobot, -15, 15), VectorXd::Zero(4), 0), 1e-9, 500);
  const foreplan::QuadrotorReach quadrotor;
  const VectorXd origin = VectorXd::Zero(12);
  Measure<SolverDDP>(MakeSetup("quadrotor", "free", quadrotor, origin, quadrotor.hover), 0, 500);
  Measure<SolverBoxDDP>(
      MakeSetup("quadrotor", "bounded", Bounded(quadrotor, 0, 4), origin, quadrotor.hover), 0, 500);
  Setup flight = MakeSetup("quadrotor", "infeasible", quadrotor, origin, 0);
  flight.feasible = false;
  flight.states.assign(101, origin);
  Measure<SolverFDDP>(flight, 0, 500);
  for (const int n : {8, 36, 76}) MeasureBoxQp(n);
  std::printf("\n]\n");
}

}  // namespace

int main() {
  Run();
  return 0;
}

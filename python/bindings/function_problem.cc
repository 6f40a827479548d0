#include "python/bindings/function_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"

namespace foreplan::python {
namespace {

constexpr int kKnotsPerCall = 16;  // of Dynamics::Linearize

nb::object Rows(const double* values, int rows, int columns) {
  return ToArray({values, values + Size(rows, columns)}, rows, columns);
}

/// first ... last - 1, as NumPy's integers.
nb::object Times(int first, int last) {
  return nb::module_::import_("numpy").attr("arange")(first, last);
}

}  // namespace

struct FunctionProblem::Buffers final : TrajectoryProblem::Workspace {
  Buffers(const Dynamics& dynamics, int nx, int nu)
      : model(dynamics.MakeDerivativeWorkspace(kKnotsPerCall)),
        observation(static_cast<size_t>(dynamics.observation_dim())),
        A(Size(kKnotsPerCall, nx * nx)),
        B(Size(kKnotsPerCall, nx * nu)) {}

  std::unique_ptr<Dynamics::Workspace> model;
  std::vector<double> observation;  // [no], of a next state
  std::vector<double> A;            // [kKnotsPerCall x nx x nx]
  std::vector<double> B;            // [kKnotsPerCall x nx x nu]
};

FunctionProblem::FunctionProblem(std::shared_ptr<const Dynamics> dynamics, CostFunctions cost,
                                 ActionBounds bounds, int horizon, std::shared_ptr<Raised> raised)
    : dynamics_(std::move(dynamics)),
      cost_(std::move(cost)),
      bounds_(std::move(bounds)),
      horizon_(horizon),
      raised_(std::move(raised)) {
  if (dynamics_->tangent_dim() == dynamics_->state_dim()) return;
  throw InputError(fmt::format(
      "cost: found a function beside a system of {} state numbers in {} dimensions, expected one "
      "without quaternions: its derivatives are by the state",
      dynamics_->state_dim(), dynamics_->tangent_dim()));
}

std::unique_ptr<TrajectoryProblem::Workspace> FunctionProblem::MakeWorkspace() const {
  return std::make_unique<Buffers>(*dynamics_, state_dim(), action_dim());
}

double FunctionProblem::Step(int t, const double* x, const double* u, double* next,
                             Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  dynamics_->StepMean(
      {.rows = 1,
       .state = x,
       .action = u,
       .next_state = next,
       .next_observation = dynamics_->observation_is_state() ? next : b.observation.data(),
       .time = t,
       .key = {}},
      *b.model);
  return CallPython(*raised_, "cost", [&] {
    const nb::object cost =
        cost_.stage.get()(Rows(x, 1, state_dim()), Rows(u, 1, action_dim()), Times(t, t + 1));
    return NumbersOf(cost, "cost", 1).data()[0];
  });
}

double FunctionProblem::TerminalCost(const double* x, Workspace& /*workspace*/) const {
  return CallPython(*raised_, "terminal cost", [&] {
    const nb::object cost = cost_.terminal.get()(Rows(x, 1, state_dim()));
    return NumbersOf(cost, "terminal cost", 1).data()[0];
  });
}

void FunctionProblem::ExpandDynamics(int first, int last, const double* xs, const double* us,
                                     const Knot* knots, Buffers& b) const {
  const int nx = state_dim();
  const int nu = action_dim();
  for (int begin = first; begin < last; begin += kKnotsPerCall) {
    const int rows = std::min(kKnotsPerCall, last - begin);
    dynamics_->Linearize({.rows = rows,
                          .state = xs + Size(begin, nx),
                          .action = us + Size(begin, nu),
                          .A = b.A.data(),
                          .B = b.B.data()},
                         *b.model);
    for (int row = 0; row < rows; ++row) {
      const KnotView<> view(knots[begin + row], {nx, nu});
      for (int i = 0; i < nx; ++i) {
        for (int j = 0; j < nx; ++j) view.A(i, j) = b.A[Size(row * nx + i, nx) + Size(j)];
        for (int j = 0; j < nu; ++j) view.B(i, j) = b.B[Size(row * nx + i, nu) + Size(j)];
      }
    }
  }
}

void FunctionProblem::Expand(int first, int last, const double* xs, const double* us,
                             const Knot* knots, Workspace& workspace) const {
  ExpandDynamics(first, last, xs, us, knots, static_cast<Buffers&>(workspace));
  const int nx = state_dim();
  const int nu = action_dim();
  const int nz = nx + nu;
  const int rows = last - first;
  CallPython(*raised_, "cost's derivatives", [&] {
    const nb::object found =
        cost_.expand.get()(Rows(xs + Size(first, nx), rows, nx),
                           Rows(us + Size(first, nu), rows, nu), Times(first, last));
    const Array gradient = NumbersOf(nb::object(found[0]), "cost's gradient", Size(rows, nz));
    const Array hessian = NumbersOf(nb::object(found[1]), "cost's Hessian", Size(rows, nz * nz));
    for (int row = 0; row < rows; ++row) {
      const double* g = gradient.data() + Size(row, nz);
      const double* H = hessian.data() + Size(row, nz * nz);
      const KnotView<> view(knots[first + row], {nx, nu});
      for (int i = 0; i < nx; ++i) {
        view.lx(i) = g[i];
        for (int j = 0; j < nx; ++j) view.lxx(i, j) = H[i * nz + j];
      }
      for (int i = 0; i < nu; ++i) {
        view.lu(i) = g[nx + i];
        for (int j = 0; j < nx; ++j) view.lux(i, j) = H[(nx + i) * nz + j];
        for (int j = 0; j < nu; ++j) view.luu(i, j) = H[(nx + i) * nz + nx + j];
      }
    }
  });
}

void FunctionProblem::ExpandTerminal(const double* x, const Knot& knot,
                                     Workspace& /*workspace*/) const {
  const int nx = state_dim();
  CallPython(*raised_, "terminal cost's derivatives", [&] {
    const nb::object found = cost_.expand_terminal.get()(Rows(x, 1, nx));
    const Array gradient = NumbersOf(nb::object(found[0]), "terminal cost's gradient", Size(1, nx));
    const Array hessian = NumbersOf(nb::object(found[1]), "terminal cost's Hessian", Size(nx, nx));
    const KnotView<> view(knot, {nx, action_dim()});
    for (int i = 0; i < nx; ++i) {
      view.lx(i) = gradient.data()[i];
      for (int j = 0; j < nx; ++j) view.lxx(i, j) = hessian.data()[i * nx + j];
    }
  });
}

FunctionConstraints::FunctionConstraints(ConstraintFunctions functions,
                                         const TrajectoryProblem& problem,
                                         std::shared_ptr<Raised> raised)
    : functions_(std::move(functions)),
      horizon_(problem.horizon()),
      nx_(problem.state_dim()),
      nu_(problem.action_dim()),
      raised_(std::move(raised)) {}

nb::object FunctionConstraints::Call(const Shared& stage, const Shared& terminal, int t,
                                     const double* x, const double* u) const {
  if (t == horizon_) return terminal.get()(Rows(x, 1, nx_));
  return stage.get()(Rows(x, 1, nx_), Rows(u, 1, nu_), Times(t, t + 1));
}

void FunctionConstraints::Evaluate(int t, const double* x, const double* u, double* g) const {
  if (count(t) == 0) return;
  CallPython(*raised_, "constraints", [&] {
    const Array values = NumbersOf(Call(functions_.stage, functions_.terminal, t, x, u),
                                   "constraints", Size(count(t)));
    std::copy_n(values.data(), values.size(), g);
  });
}

void FunctionConstraints::Expand(int t, const double* x, const double* u, double* g,
                                 double* jacobian) const {
  if (count(t) == 0) return;
  Evaluate(t, x, u, g);
  CallPython(*raised_, "constraints' derivatives", [&] {
    const int columns = t == horizon_ ? nx_ : nx_ + nu_;
    const Array found = NumbersOf(Call(functions_.expand, functions_.expand_terminal, t, x, u),
                                  "constraints' derivatives", Size(count(t), columns));
    for (int i = 0; i < count(t); ++i) {
      const double* row = found.data() + Size(i, columns);
      double* out = jacobian + Size(i, nu_ + nx_);
      std::fill_n(out, nu_, 0.0);
      std::copy(row + nx_, row + columns, out);
      std::copy_n(row, nx_, out + nu_);
    }
  });
}

}  // namespace foreplan::python

#include "foreplan/trajopt/dynamics_problem.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/size.h"
#include "foreplan/models/imagination.h"
#include "foreplan/models/terminal_value.h"

namespace foreplan {
namespace {

constexpr int kKnotsPerCall = 16;  // of Dynamics::Linearize

}  // namespace

struct DynamicsProblem::Buffers final : TrajectoryProblem::Workspace {
  Buffers(const Dynamics& dynamics, int no, int nx, int nu)
      : model(dynamics.MakeDerivativeWorkspace(kKnotsPerCall)),
        observation(static_cast<size_t>(no)),
        next_observation(observation.size()),
        A(Size(kKnotsPerCall, nx * nx)),
        B(Size(kKnotsPerCall, nx * nu)),
        C(Size(no, nx)),
        next_C(Size(no, nx)),
        gradient(Size(1, 2 * no + nu)),
        hessian(Size(2 * no + nu, 2 * no + nu)),
        scratch(2 * hessian.size()),
        chain(Size(2 * no + nu, nx + nu)),
        product(Size(2 * no + nu, nx + nu)) {}

  std::unique_ptr<Dynamics::Workspace> model;
  std::vector<double> observation, next_observation;  // [no]
  std::vector<double> A;                              // [kKnotsPerCall x nx x nx]
  std::vector<double> B;                              // [kKnotsPerCall x nx x nu]
  std::vector<double> C, next_C;                      // observation by state: [no x nx]
  std::vector<double> gradient;                       // of r by (o, u, o'): [2 no + nu]
  std::vector<double> hessian;                        // [2 no + nu squared]
  std::vector<double> scratch;                        // of Reward::ExpandConcave
  std::vector<double> chain;                          // (o, u, o') by (u, x): [2 no + nu x nu + nx]
  std::vector<double> product;                        // Hessian times chain
};

DynamicsProblem::DynamicsProblem(std::shared_ptr<const Dynamics> dynamics,
                                 std::shared_ptr<const Reward> reward, ActionBounds bounds,
                                 int horizon, std::shared_ptr<const TerminalValue> terminal_value)
    : dynamics_(std::move(dynamics)),
      reward_(std::move(reward)),
      terminal_value_(std::move(terminal_value)),
      horizon_(horizon),
      bounds_(std::move(bounds)) {
  CheckModelAndReward("trajectory problem", dynamics_.get(), reward_.get());
  const int no = dynamics_->observation_dim();
  const int nz = 2 * no + dynamics_->action_dim();
  const std::vector<double> zero(static_cast<size_t>(nz));
  std::vector<double> gradient(zero.size());
  std::vector<double> hessian(Size(nz, nz));
  (void)reward_->Expand(zero.data(), zero.data(), zero.data(), gradient.data(), hessian.data());
  CheckTerminalValue(terminal_value_.get(), no);
  if (terminal_value_ == nullptr) return;
  (void)terminal_value_->ExpandConcave(zero.data(), gradient.data(), hessian.data());
}

std::unique_ptr<TrajectoryProblem::Workspace> DynamicsProblem::MakeWorkspace() const {
  return std::make_unique<Buffers>(*dynamics_, dynamics_->observation_dim(), tangent_dim(),
                                   action_dim());
}

double DynamicsProblem::Step(int t, const double* x, const double* u, double* next,
                             Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  const double* observation = x;
  double* next_observation = next;
  if (!dynamics_->observation_is_state()) {
    dynamics_->Observe({x, static_cast<size_t>(state_dim())}, b.observation, *b.model);
    observation = b.observation.data();
    next_observation = b.next_observation.data();
  }
  dynamics_->StepMean({.rows = 1,
                       .state = x,
                       .action = u,
                       .next_state = next,
                       .next_observation = next_observation,
                       .time = t,
                       .key = {}},
                      *b.model);
  double reward = 0;
  uint8_t terminated = 0;
  reward_->Evaluate(
      {.rows = 1, .observation = observation, .action = u, .next_observation = next_observation},
      &reward, &terminated);
  return -reward;
}

const double* DynamicsProblem::Observation(const double* x, Buffers& b) const {
  if (dynamics_->observation_is_state()) return x;
  dynamics_->Observe({x, static_cast<size_t>(state_dim())}, b.observation, *b.model);
  return b.observation.data();
}

double DynamicsProblem::TerminalCost(const double* x, Workspace& workspace) const {
  if (terminal_value_ == nullptr) return 0;
  double value = 0;
  terminal_value_->Evaluate(1, Observation(x, static_cast<Buffers&>(workspace)), &value);
  return -value;
}

// With do = C dx: gradient -C'g, Hessian C'(-H) C of the concave H.
void DynamicsProblem::ExpandTerminal(const double* x, const Knot& knot,
                                     Workspace& workspace) const {
  if (terminal_value_ == nullptr) return;
  auto& b = static_cast<Buffers&>(workspace);
  const int no = dynamics_->observation_dim();
  const int nx = tangent_dim();
  (void)terminal_value_->ExpandConcave(Observation(x, b), b.gradient.data(), b.hessian.data());
  dynamics_->ObservationJacobian(x, b.C.data(), *b.model);
  for (int i = 0; i < no; ++i) {  // H C
    for (int p = 0; p < nx; ++p) {
      double sum = 0;
      for (int j = 0; j < no; ++j)
        sum += b.hessian[Size(i, no) + Size(j)] * b.C[Size(j, nx) + Size(p)];
      b.product[Size(i, nx) + Size(p)] = sum;
    }
  }
  const KnotView<> view(knot, {nx, action_dim()});
  for (int p = 0; p < nx; ++p) {
    double gradient = 0;
    for (int i = 0; i < no; ++i) gradient -= b.C[Size(i, nx) + Size(p)] * b.gradient[Size(i)];
    view.lx(p) = gradient;
    for (int q = p; q < nx; ++q) {
      double sum = 0;
      for (int i = 0; i < no; ++i)
        sum -= b.C[Size(i, nx) + Size(p)] * b.product[Size(i, nx) + Size(q)];
      view.lxx(p, q) = view.lxx(q, p) = sum;
    }
  }
}

void DynamicsProblem::Expand(int first, int last, const double* xs, const double* us,
                             const Knot* knots, Workspace& workspace) const {
  auto& b = static_cast<Buffers&>(workspace);
  const KnotLayout layout{tangent_dim(), action_dim()};
  const int ns = state_dim();
  const int nx = layout.nx;
  const int nu = layout.nu;
  for (int begin = first; begin < last; begin += kKnotsPerCall) {
    const int rows = std::min(kKnotsPerCall, last - begin);
    dynamics_->Linearize({.rows = rows,
                          .state = xs + begin * ns,
                          .action = us + begin * nu,
                          .A = b.A.data(),
                          .B = b.B.data()},
                         *b.model);
    for (int row = 0; row < rows; ++row) {
      const int t = begin + row;
      double* jacobian = knots[t].jacobian;
      for (int i = 0; i < nx; ++i) {
        std::copy_n(&b.B[Size(row, nx * nu) + Size(i, nu)], nu, jacobian + i * layout.ldz());
        std::copy_n(&b.A[Size(row, nx * nx) + Size(i, nx)], nx,
                    jacobian + i * layout.ldz() + layout.ldu());
      }
      ExpandReward(xs + t * ns, us + t * nu, xs + (t + 1) * ns, knots[t], b);
    }
  }
}

// Cost = -reward, in z = (o, u, o'), dz = M (du, dx): gradient -M'g, Hessian M'(-H) M of the
// concave H.
void DynamicsProblem::ExpandReward(const double* x, const double* u, const double* next,
                                   const Knot& knot, Buffers& b) const {
  const int nz = 2 * dynamics_->observation_dim() + action_dim();
  const auto ns = static_cast<size_t>(state_dim());
  const double* observation = x;
  const double* next_observation = next;
  if (!dynamics_->observation_is_state()) {
    dynamics_->Observe({x, ns}, b.observation, *b.model);
    dynamics_->Observe({next, ns}, b.next_observation, *b.model);
    observation = b.observation.data();
    next_observation = b.next_observation.data();
  }
  reward_->ExpandConcave(observation, u, next_observation, b.gradient.data(), b.hessian.data(), nz,
                         b.scratch.data());
  for (double& entry : b.hessian) entry = -entry;
  dynamics_->ObservationJacobian(x, b.C.data(), *b.model);
  dynamics_->ObservationJacobian(next, b.next_C.data(), *b.model);
  SetChain(knot, b);
  SetCost(knot, b);
}

// M = [0 C; I 0; C'B C'A], C' of the next state.
void DynamicsProblem::SetChain(const Knot& knot, Buffers& b) const {
  const KnotLayout layout{tangent_dim(), action_dim()};
  const int no = dynamics_->observation_dim();
  const int nx = layout.nx;
  const int nu = layout.nu;
  const int width = nu + nx;
  double* M = b.chain.data();
  std::fill(b.chain.begin(), b.chain.end(), 0.0);
  for (int i = 0; i < no; ++i) std::copy_n(&b.C[Size(i, nx)], nx, M + i * width + nu);
  for (int i = 0; i < nu; ++i) M[(no + i) * width + i] = 1;
  for (int i = 0; i < no; ++i) {
    double* row = M + (no + nu + i) * width;
    for (int p = 0; p < nx; ++p) {
      const double factor = b.next_C[Size(i, nx) + static_cast<size_t>(p)];
      if (factor == 0) continue;
      const double* F = knot.jacobian + p * layout.ldz();
      for (int j = 0; j < nu; ++j) row[j] += factor * F[j];
      for (int j = 0; j < nx; ++j) row[nu + j] += factor * F[layout.ldu() + j];
    }
  }
}

// l_z = -M'g, l_zz = M'(-H) M.
void DynamicsProblem::SetCost(const Knot& knot, Buffers& b) const {
  const KnotLayout layout{tangent_dim(), action_dim()};
  const int nu = layout.nu;
  const int nz = 2 * dynamics_->observation_dim() + nu;
  const int width = nu + layout.nx;
  const double* M = b.chain.data();
  std::fill(b.product.begin(), b.product.end(), 0.0);  // -H M
  for (int i = 0; i < nz; ++i) {
    for (int p = 0; p < nz; ++p) {
      const double factor = b.hessian[Size(i, nz) + static_cast<size_t>(p)];
      if (factor == 0) continue;
      double* row = &b.product[Size(i, width)];
      for (int j = 0; j < width; ++j) row[j] += factor * M[p * width + j];
    }
  }
  const KnotView<> view(knot, layout);
  for (int a = 0; a < width; ++a) {
    double gradient = 0;
    for (int i = 0; i < nz; ++i) gradient -= M[i * width + a] * b.gradient[static_cast<size_t>(i)];
    (a < nu ? view.lu(a) : view.lx(a - nu)) = gradient;
    for (int c = a; c < width; ++c) {
      double sum = 0;
      for (int i = 0; i < nz; ++i) {
        sum += M[i * width + a] * b.product[Size(i, width) + static_cast<size_t>(c)];
      }
      if (c < nu) {
        view.luu(a, c) = view.luu(c, a) = sum;
      } else if (a < nu) {
        view.lux(a, c - nu) = sum;
      } else {
        view.lxx(a - nu, c - nu) = view.lxx(c - nu, a - nu) = sum;
      }
    }
  }
}

}  // namespace foreplan

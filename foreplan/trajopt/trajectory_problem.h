// What trajectory optimisation minimises, and how its derivatives lie in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace foreplan {

/// Sizes of one knot's matrices. Rows of doubles are padded with zeros to multiples of kLane, the
/// action's part stands before the state's: z = (u, x).
struct KnotLayout {
  static constexpr int kLane = 4;
  static constexpr int Padded(int n) { return (n + kLane - 1) / kLane * kLane; }

  int nx = 0;  // of a small change of the state
  int nu = 0;

  [[nodiscard]] constexpr int ldu() const { return Padded(nu); }
  [[nodiscard]] constexpr int ldx() const { return Padded(nx); }
  [[nodiscard]] constexpr int ldz() const { return ldu() + ldx(); }
  [[nodiscard]] constexpr size_t jacobian_size() const { return Size(nx, ldz()); }
  [[nodiscard]] constexpr size_t hessian_u_size() const { return Size(nu, ldz()); }
  [[nodiscard]] constexpr size_t hessian_x_size() const { return Size(nx, ldx()); }
  [[nodiscard]] constexpr size_t knot_size() const {
    return jacobian_size() + hessian_u_size() + hessian_x_size() + static_cast<size_t>(ldz());
  }

 private:
  static constexpr size_t Size(int rows, int columns) {
    return static_cast<size_t>(rows) * static_cast<size_t>(columns);
  }
};

/// Derivatives at one knot. Memory belongs to the solver, unless a problem binds its own.
struct Knot {
  double* jacobian = nullptr;   // [B | A]: [nx x ldz]
  double* hessian_u = nullptr;  // [luu | lux]: [nu x ldz]
  double* hessian_x = nullptr;  // lxx, symmetric: [nx x ldx]
  double* gradient = nullptr;   // (lu | lx): [ldz]

  /// The first knot_size() numbers of some memory, which goes on behind them.
  static Knot Take(KnotLayout layout, double*& memory) {
    Knot knot{.jacobian = memory};
    knot.hessian_u = knot.jacobian + layout.jacobian_size();
    knot.hessian_x = knot.hessian_u + layout.hessian_u_size();
    knot.gradient = knot.hessian_x + layout.hessian_x_size();
    memory += layout.knot_size();
    return knot;
  }
};

/// Names for the entries of a knot. With fixed sizes the places are known to the compiler; 0 means
/// sizes of the layout.
template <int FixedNx = 0, int FixedNu = 0>
class KnotView {
 public:
  KnotView(const Knot& knot, KnotLayout layout) : knot_(knot), layout_(layout) {}

  [[nodiscard]] constexpr KnotLayout layout() const {
    if constexpr (FixedNx > 0) return {FixedNx, FixedNu};
    return layout_;
  }
  double& A(int i, int j) const { return knot_.jacobian[i * ldz() + ldu() + j]; }
  double& B(int i, int j) const { return knot_.jacobian[i * ldz() + j]; }
  double& lxx(int i, int j) const { return knot_.hessian_x[i * layout().ldx() + j]; }
  double& lux(int i, int j) const { return knot_.hessian_u[i * ldz() + ldu() + j]; }
  double& luu(int i, int j) const { return knot_.hessian_u[i * ldz() + j]; }
  double& lx(int i) const { return knot_.gradient[ldu() + i]; }
  double& lu(int i) const { return knot_.gradient[i]; }

 private:
  [[nodiscard]] constexpr int ldz() const { return layout().ldz(); }
  [[nodiscard]] constexpr int ldu() const { return layout().ldu(); }

  const Knot& knot_;
  KnotLayout layout_;
};

/// min J = sum_{t<N} l_t(x_t, u_t) + l_N(x_N), x_{t+1} = f_t(x_t, u_t), low <= u_t <= high.
///
/// Const and shared between threads; what changes is in a Workspace. A number that is not finite
/// says that the model cannot be evaluated there; solvers then shorten their step.
class TrajectoryProblem {
 public:
  class Workspace {
   public:
    virtual ~Workspace() = default;
  };

  virtual ~TrajectoryProblem() = default;

  [[nodiscard]] virtual int horizon() const = 0;     // N
  [[nodiscard]] virtual int state_dim() const = 0;   // numbers of a state
  [[nodiscard]] virtual int action_dim() const = 0;  // nu
  /// nx: dimensions in which a state can change; fewer than state_dim() for quaternions.
  [[nodiscard]] virtual int tangent_dim() const { return state_dim(); }

  /// Bounds of the actions, [nu] each; empty: none.
  [[nodiscard]] virtual std::span<const double> action_low() const { return {}; }
  [[nodiscard]] virtual std::span<const double> action_high() const { return {}; }

  /// One per worker; the only place that allocates.
  [[nodiscard]] virtual std::unique_ptr<Workspace> MakeWorkspace() const {
    return std::make_unique<Workspace>();
  }

  /// Called once per knot 0 ... N when a solver is made. Entries that never change may be written
  /// here once, or a pointer set to memory of the problem; the rest starts as zeros.
  virtual void Bind(int /*t*/, Knot& /*knot*/) const {}

  /// next = f_t(x, u); returns l_t(x, u).
  virtual double Step(int t, const double* x, const double* u, double* next,
                      Workspace& workspace) const = 0;
  virtual double TerminalCost(const double* x, Workspace& workspace) const = 0;

  /// Derivatives at the knots first ... last - 1, along the rows xs: [N+1 x state_dim] and
  /// us: [N x nu]. Entries must be written the same at every call.
  virtual void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
                      Workspace& workspace) const = 0;
  /// Gradient and Hessian of the terminal cost.
  virtual void ExpandTerminal(const double* x, const Knot& knot, Workspace& workspace) const = 0;

  /// dx = x - reference in the tangent space: [nx].
  virtual void Difference(const double* x, const double* reference, double* dx) const;

  [[nodiscard]] virtual bool has_second_derivatives() const { return false; }
  /// True when dynamics are affine and costs quadratic: expansions are the same everywhere.
  [[nodiscard]] virtual bool is_linear_quadratic() const { return false; }
  /// Adds sum_i multiplier[i] d^2 f_i / dz^2 to the knot's Hessians (both triangles).
  virtual void AddDynamicsHessian(int /*t*/, const double* /*x*/, const double* /*u*/,
                                  const double* /*multiplier*/, const Knot& /*knot*/) const {}
};

/// Largest difference between a problem's derivatives and central differences at knot t, relative
/// to 1 + the entry's size: of the Jacobian and of the gradient of stage and terminal cost. For
/// problems whose state is its own tangent space. `step` is the half width of the differences.
struct DerivativeErrors {
  double jacobian = 0;
  double gradient = 0;
  double terminal_gradient = 0;
  double dynamics_hessian = 0;  // 0 for problems without second derivatives
};
[[nodiscard]] DerivativeErrors CheckDerivatives(const TrajectoryProblem& problem, int t,
                                                std::span<const double> x,
                                                std::span<const double> u, double step = 1e-6);

}  // namespace foreplan

#include "foreplan/trajopt/testing/reference_problems.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/formula_problem.h"
#include "foreplan/trajopt/testing/reference_formulas.h"

namespace foreplan {
namespace {

template <typename Formula>
void SetBounds(Formula& formula, double low, double high) {
  formula.low.assign(Formula::kActionDim, low);
  formula.high.assign(Formula::kActionDim, high);
}

template <typename Formula>
void Finish(ReferenceCase& result, Formula formula, std::vector<double> start, double action) {
  result.start = std::move(start);
  const auto steps = static_cast<size_t>(formula.horizon);
  result.actions.assign(steps * Formula::kActionDim, action);
  result.trajectory = std::make_unique<FormulaProblem<Formula>>(std::move(formula));
}

void MakeUnicycle(ReferenceCase& result) {
  result.known_cost = 80.90169943749;
  Finish(result, UnicycleParking{}, {1, 0, 0}, 0);
}

void MakeCartPole(ReferenceCase& result) {
  CartPoleSwingUp formula;
  result.known_cost = 18.68024183878;
  if (result.variant == "bounded") SetBounds(formula, -10, 10);
  if (result.variant == "ddp") result.options.derivatives = Derivatives::kFull;
  const bool infeasible = result.variant == "infeasible";
  Finish(result, std::move(formula), {0, std::numbers::pi, 0, 0}, infeasible ? 0 : 1);
  if (infeasible) result.states.assign(4 * 51, 0.0);
}

void MakeAcrobot(ReferenceCase& result) {
  AcrobotSwingUp formula;
  result.known_cost = 2.795931300454;
  // There are many local minima; these settings decide which is found.
  result.options.max_ratio = 1e300;
  if (result.variant == "free") {
    result.options.min_ratio = 0.1;
    result.options.cost_tolerance = 1e-11;
  }
  result.stop_at_known_cost = result.variant == "target";
  if (result.variant == "damped" || result.variant == "target") result.options.initial_mu = 100;
  if (result.variant == "bounded") {
    SetBounds(formula, -15, 15);
    result.known_cost = 3.148050944879;
    result.options.initial_mu = 0.01;
    result.options.mu_factor = 10;
  }
  Finish(result, std::move(formula), {0, 0, 0, 0}, 0);
}

void MakeQuadrotor(ReferenceCase& result) {
  QuadrotorReach formula;
  result.known_cost = 2.150214641330;
  if (result.variant == "bounded") {
    SetBounds(formula, 0, 4);
    result.known_cost = 2.181991488917;
    result.options.initial_mu = 100;
    result.options.mu_factor = 4;
  }
  const bool infeasible = result.variant == "infeasible";
  const double action = infeasible ? 0 : formula.hover;
  Finish(result, std::move(formula), std::vector<double>(12, 0.0), action);
  if (infeasible) result.states.assign(12 * 101, 0.0);
}

void MakeLqr37(ReferenceCase& result) {
  const LqrProblem problem = ReferenceLqr37x12(result.start);
  result.known_cost = 94.27232633588;
  result.actions.assign(static_cast<size_t>(problem.horizon) * 12, 0.0);
  result.trajectory = std::make_unique<LinearQuadraticProblem>(problem);
}

void MakeLqr56(ReferenceCase& result) {
  const int horizon = result.variant == "8" ? 8 : result.variant == "64" ? 64 : 512;
  result.known_cost = horizon == 8    ? 34.68878935419
                      : horizon == 64 ? 15204.87038935
                                      : 7627968.563189;
  result.start.assign(56, 0.0);
  result.actions.assign(static_cast<size_t>(horizon) * 22, 0.0);
  result.trajectory = std::make_unique<LinearQuadraticProblem>(ReferenceLqr56x22(horizon));
}

struct Family {
  const char* name;
  std::vector<std::string> variants;
  void (*make)(ReferenceCase&);
};

const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = {
      {"lqr_37x12", {"free"}, &MakeLqr37},
      {"lqr_56x22", {"8", "64", "512"}, &MakeLqr56},
      {"unicycle", {"free"}, &MakeUnicycle},
      {"cartpole", {"free", "ddp", "bounded", "infeasible"}, &MakeCartPole},
      {"acrobot", {"free", "damped", "target", "bounded"}, &MakeAcrobot},
      {"quadrotor", {"free", "bounded", "infeasible"}, &MakeQuadrotor},
  };
  return kFamilies;
}

}  // namespace

double ReferenceRandom::Number() {
  state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
  return 2.0 * (static_cast<double>(state_ >> 11) * 0x1p-53) - 1.0;
}

Eigen::MatrixXd ReferenceRandom::Matrix(int rows, int columns) {
  Eigen::MatrixXd matrix(rows, columns);
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) matrix(i, j) = Number();
  }
  return matrix;
}

// A = 0.95 I + 0.02 M1, B = 0.1 M2, Q = 0.5 I + M3 M3'/37, R = 0.1 I + 0.1 M4 M4'/12.
LqrProblem ReferenceLqr37x12(std::vector<double>& start) {
  constexpr int nx = 37;
  constexpr int nu = 12;
  ReferenceRandom random(1);
  LqrStage stage;
  stage.A = 0.95 * Eigen::MatrixXd::Identity(nx, nx) + 0.02 * random.Matrix(nx, nx);
  stage.B = 0.1 * random.Matrix(nx, nu);
  const Eigen::MatrixXd M3 = random.Matrix(nx, nx);
  stage.Q = 0.5 * Eigen::MatrixXd::Identity(nx, nx) + M3 * M3.transpose() / nx;
  const Eigen::MatrixXd M4 = random.Matrix(nu, nu);
  stage.R = 0.1 * Eigen::MatrixXd::Identity(nu, nu) + 0.1 * (M4 * M4.transpose()) / nu;
  start.resize(nx);
  for (double& number : start) number = random.Number();
  return {100, {stage}, stage.Q, {}};
}

// x+ = x + [I; 0] u + 0.1, Q = I with Q(0, 0) = 2, R = 0.01 I.
LqrProblem ReferenceLqr56x22(int horizon) {
  constexpr int nx = 56;
  constexpr int nu = 22;
  LqrStage stage;
  stage.A = Eigen::MatrixXd::Identity(nx, nx);
  stage.B = Eigen::MatrixXd::Identity(nx, nu);
  stage.c = Eigen::VectorXd::Constant(nx, 0.1);
  stage.Q = Eigen::MatrixXd::Identity(nx, nx);
  stage.Q(0, 0) = 2;
  stage.R = 0.01 * Eigen::MatrixXd::Identity(nu, nu);
  return {horizon, {stage}, stage.Q, {}};
}

// H = M M'/n + 0.1 I; seed 100 + n.
ReferenceBoxQp MakeReferenceBoxQp(int n) {
  ReferenceRandom random(100 + static_cast<uint64_t>(n));
  const Eigen::MatrixXd M = random.Matrix(n, n);
  ReferenceBoxQp result;
  result.H = M * M.transpose() / n + 0.1 * Eigen::MatrixXd::Identity(n, n);
  result.q = random.Matrix(n, 1);
  return result;
}

ReferenceCase MakeReferenceCase(const std::string& problem, const std::string& variant) {
  std::vector<std::string> names;
  for (const Family& family : Families()) {
    names.emplace_back(family.name);
    if (problem != family.name) continue;
    if (std::ranges::find(family.variants, variant) == family.variants.end()) {
      throw UnknownName("reference problem " + problem, "variant", variant, family.variants);
    }
    ReferenceCase result;
    result.problem = problem;
    result.variant = variant;
    family.make(result);
    return result;
  }
  throw UnknownName("reference problem", "problem", problem, names);
}

std::vector<std::pair<std::string, std::string>> ReferenceCases() {
  std::vector<std::pair<std::string, std::string>> cases;
  for (const Family& family : Families()) {
    for (const std::string& variant : family.variants) cases.emplace_back(family.name, variant);
  }
  return cases;
}

}  // namespace foreplan

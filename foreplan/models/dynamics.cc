#include "foreplan/models/dynamics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/rollout_tape.h"

namespace foreplan {

std::unique_ptr<Dynamics::Workspace> Dynamics::MakeWorkspace(int /*max_rows*/) const {
  return std::make_unique<Workspace>();
}

void Dynamics::Observe(std::span<const double> state, std::span<double> observation,
                       Workspace& /*workspace*/) const {
  if (!observation_is_state()) {
    throw InputError(
        "dynamics: found a model whose state is no observation, expected an Observe of its own");
  }
  std::ranges::copy(state, observation.begin());
}

void Dynamics::Difference(const double* state, const double* reference, double* tangent) const {
  for (int i = 0; i < state_dim(); ++i) tangent[i] = state[i] - reference[i];
}

void Dynamics::ObservationJacobian(const double* /*state*/, double* jacobian,
                                   Workspace& /*workspace*/) const {
  const int n = observation_dim();
  std::fill_n(jacobian, n * n, 0.0);
  for (int i = 0; i < n; ++i) jacobian[i * n + i] = 1.0;
}

namespace {

/// Central differences of StepMean at one knot: A [nx x nx], B [nx x nu].
void Differences(const Dynamics& dynamics, const double* state, const double* action, double step,
                 double* A, double* B, Dynamics::Workspace& workspace) {
  const auto nx = static_cast<size_t>(dynamics.state_dim());
  const auto nu = static_cast<size_t>(dynamics.action_dim());
  std::vector<double> z(state, state + nx);
  z.insert(z.end(), action, action + nu);
  std::vector<double> observation(static_cast<size_t>(dynamics.observation_dim()));
  std::vector<double> above(nx);
  std::vector<double> below(nx);
  const auto step_into = [&](std::vector<double>& next) {
    dynamics.StepMean({.rows = 1,
                       .state = z.data(),
                       .action = z.data() + nx,
                       .next_state = next.data(),
                       .next_observation = observation.data(),
                       .key = {}},
                      workspace);
  };
  for (size_t j = 0; j < nx + nu; ++j) {
    const double kept = z[j];
    z[j] = kept + step;
    step_into(above);
    z[j] = kept - step;
    step_into(below);
    z[j] = kept;
    for (size_t i = 0; i < nx; ++i) {
      (j < nx ? A[i * nx + j] : B[i * nu + j - nx]) = (above[i] - below[i]) / (2 * step);
    }
  }
}

}  // namespace

void Dynamics::Linearize(const LinearizeBatch& batch, Workspace& workspace) const {
  const int nx = state_dim();
  const int nu = action_dim();
  for (int row = 0; row < batch.rows; ++row) {
    Differences(*this, batch.state + row * nx, batch.action + row * nu, 1e-6,
                batch.A + row * nx * nx, batch.B + row * nx * nu, workspace);
  }
}

std::unique_ptr<RolloutTape> Dynamics::MakeTape(int max_rows, int steps) const {
  if (is_stochastic()) {
    throw InputError(
        "imagined rollouts: found a stochastic model that has derivatives of its mean alone, "
        "expected "
        "one that takes gradients back through its own noise");
  }
  return std::make_unique<LinearizedTape>(*this, max_rows, steps);
}

void CheckReplaces(const Dynamics& next, const Dynamics& present) {
  const auto sizes = [](const Dynamics& dynamics) {
    return fmt::format("{} state numbers ({} dimensions), {} observed, {} actions{}",
                       dynamics.state_dim(), dynamics.tangent_dim(), dynamics.observation_dim(),
                       dynamics.action_dim(),
                       dynamics.observation_is_state() ? ", the state observed" : "");
  };
  const std::string found = sizes(next);
  const std::string expected = sizes(present);
  if (found == expected) return;
  throw InputError(
      fmt::format("dynamics: found a model of {}, expected one of {}", found, expected));
}

double CheckDerivatives(const Dynamics& dynamics, std::span<const double> state,
                        std::span<const double> action, double step) {
  const size_t nx = state.size();
  const size_t nu = action.size();
  const auto workspace = dynamics.MakeDerivativeWorkspace(1);
  std::vector<double> found(nx * (nx + nu));  // A, then B
  std::vector<double> expected = found;
  dynamics.Linearize({.rows = 1,
                      .state = state.data(),
                      .action = action.data(),
                      .A = found.data(),
                      .B = found.data() + nx * nx},
                     *workspace);
  Differences(dynamics, state.data(), action.data(), step, expected.data(),
              expected.data() + nx * nx, *workspace);
  double largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double error = std::abs(found[i] - expected[i]) / (1 + std::abs(expected[i]));
    if (std::isnan(error) || error > largest) largest = error;
  }
  return largest;
}

}  // namespace foreplan

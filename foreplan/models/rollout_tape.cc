#include "foreplan/models/rollout_tape.h"

#include <algorithm>

#include "foreplan/core/size.h"

namespace foreplan {
LinearizedTape::LinearizedTape(const Dynamics& dynamics, int max_rows, int steps)
    : dynamics_(dynamics),
      workspace_(dynamics.MakeDerivativeWorkspace(max_rows)),
      kept_(Size(steps)),
      A_(Size(max_rows, dynamics.tangent_dim(), dynamics.tangent_dim())),
      B_(Size(max_rows, dynamics.tangent_dim(), dynamics.action_dim())),
      C_(Size(dynamics.observation_dim(), dynamics.tangent_dim())),
      adjoint_(Size(dynamics.tangent_dim())) {
  for (Kept& kept : kept_) {
    kept.state.resize(Size(max_rows, dynamics.state_dim()));
    kept.action.resize(Size(max_rows, dynamics.action_dim()));
    kept.next_state.resize(kept.state.size());
  }
}

void LinearizedTape::Step(const StepBatch& batch) {
  dynamics_.StepMean(batch, *workspace_);
  rows_ = batch.rows;
  Kept& kept = kept_[Size(batch.time)];
  std::copy_n(batch.state, Size(rows_, dynamics_.state_dim()), kept.state.begin());
  std::copy_n(batch.action, Size(rows_, dynamics_.action_dim()), kept.action.begin());
  std::copy_n(batch.next_state, Size(rows_, dynamics_.state_dim()), kept.next_state.begin());
}

void LinearizedTape::PullBack(int time, const double* d_next_state,
                              const double* d_next_observation, double* d_state, double* d_action) {
  const Kept& kept = kept_[Size(time)];
  const int ns = dynamics_.state_dim();
  const int nx = dynamics_.tangent_dim();
  const int nu = dynamics_.action_dim();
  const int no = dynamics_.observation_dim();
  dynamics_.Linearize({.rows = rows_,
                       .state = kept.state.data(),
                       .action = kept.action.data(),
                       .A = A_.data(),
                       .B = B_.data()},
                      *workspace_);
  for (int row = 0; row < rows_; ++row) {
    // lambda = dR/dx' + C' dR/do', then dR/dx = A' lambda, dR/du = B' lambda.
    std::copy_n(d_next_state + Size(row, nx), nx, adjoint_.begin());
    dynamics_.ObservationJacobian(&kept.next_state[Size(row, ns)], C_.data(), *workspace_);
    for (int i = 0; i < no; ++i) {
      const double by_observation = d_next_observation[Size(row, no) + Size(i)];
      for (int j = 0; j < nx; ++j) adjoint_[Size(j)] += C_[Size(i, nx) + Size(j)] * by_observation;
    }
    double* by_state = d_state + Size(row, nx);
    double* by_action = d_action + Size(row, nu);
    std::fill_n(by_state, nx, 0.0);
    std::fill_n(by_action, nu, 0.0);
    for (int i = 0; i < nx; ++i) {
      const double* A = &A_[Size(row, nx, nx) + Size(i, nx)];
      const double* B = &B_[Size(row, nx, nu) + Size(i, nu)];
      for (int j = 0; j < nx; ++j) by_state[j] += A[j] * adjoint_[Size(i)];
      for (int j = 0; j < nu; ++j) by_action[j] += B[j] * adjoint_[Size(i)];
    }
  }
}

}  // namespace foreplan

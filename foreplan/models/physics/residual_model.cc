#include "foreplan/models/physics/residual_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/models/rollout_tape.h"

namespace foreplan {
namespace {

/// An error of the physics is a change, whatever the observation is.
Encoding WithoutAbsolute(Encoding encoding) {
  encoding.absolute.clear();
  encoding.integrate.clear();
  return encoding;
}

/// x' = f(x, u) + (g(x, u) - x): the sum of two tapes, and of what they take back.
class ResidualTape final : public RolloutTape {
 public:
  ResidualTape(const Dynamics& physics, const Ensemble& residual, int max_rows, int steps)
      : nx_(physics.state_dim()),
        nu_(physics.action_dim()),
        physics_(physics.MakeTape(max_rows, steps)),
        residual_(residual.MakeTape(max_rows, steps)),
        next_(Size(max_rows, nx_)),
        d_state_(next_.size()),
        d_action_(Size(max_rows, nu_)) {}

  void Step(const StepBatch& batch) override {
    rows_ = batch.rows;
    StepBatch of_networks = batch;
    of_networks.next_state = next_.data();
    of_networks.next_observation = nullptr;
    residual_->Step(of_networks);
    physics_->Step(batch);
    const size_t numbers = Size(rows_, nx_);
    for (size_t i = 0; i < numbers; ++i) batch.next_state[i] += next_[i] - batch.state[i];
    if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
      std::copy_n(batch.next_state, numbers, batch.next_observation);
    }
  }

  void PullBack(int time, const double* d_next_state, const double* d_next_observation,
                double* d_state, double* d_action) override {
    residual_->PullBack(time, d_next_state, d_next_observation, d_state_.data(), d_action_.data());
    physics_->PullBack(time, d_next_state, d_next_observation, d_state, d_action);
    // dR/dx = (A_f + A_g - I)' dR/dx', dR/du = (B_f + B_g)' dR/dx'
    for (size_t i = 0; i < Size(rows_, nx_); ++i) {
      d_state[i] += d_state_[i] - (d_next_state[i] + d_next_observation[i]);
    }
    for (size_t i = 0; i < Size(rows_, nu_); ++i) d_action[i] += d_action_[i];
  }

 private:
  int nx_;
  int nu_;
  int rows_ = 0;
  std::unique_ptr<RolloutTape> physics_;
  std::unique_ptr<RolloutTape> residual_;
  std::vector<double> next_;      // of the networks: [rows x nx]
  std::vector<double> d_state_;   // [rows x nx]
  std::vector<double> d_action_;  // [rows x nu]
};

struct PredictionWorkspace final : Dynamics::Workspace {
  std::shared_ptr<const Dynamics> of_physics;
  std::unique_ptr<Dynamics::Workspace> physics;
  std::unique_ptr<Dynamics::Workspace> residual;
  std::vector<double> next;  // [max_rows x no], of the physics
};

}  // namespace

struct ResidualDynamics::Buffers final : Dynamics::Workspace {
  std::unique_ptr<Workspace> physics;
  std::unique_ptr<Workspace> residual;
  std::vector<double> sum;   // [rows x nx], state plus what the networks add
  std::vector<double> A, B;  // of the networks; empty without derivatives
};

std::unique_ptr<Dynamics::Workspace> ResidualDynamics::MakeWorkspace(int max_rows) const {
  auto buffers = std::make_unique<Buffers>();
  buffers->physics = physics_->MakeWorkspace(max_rows);
  buffers->residual = residual_->MakeWorkspace(max_rows);
  buffers->sum.resize(Size(max_rows, state_dim()));
  return buffers;
}

std::unique_ptr<Dynamics::Workspace> ResidualDynamics::MakeDerivativeWorkspace(int max_rows) const {
  auto buffers = std::make_unique<Buffers>();
  buffers->physics = physics_->MakeDerivativeWorkspace(max_rows);
  buffers->residual = residual_->MakeDerivativeWorkspace(max_rows);
  buffers->sum.resize(Size(max_rows, state_dim()));
  buffers->A.resize(Size(max_rows, state_dim(), state_dim()));
  buffers->B.resize(Size(max_rows, state_dim(), action_dim()));
  return buffers;
}

void ResidualDynamics::Observe(std::span<const double> state, std::span<double> observation,
                               Workspace& /*workspace*/) const {
  std::ranges::copy(state, observation.begin());
}

void ResidualDynamics::StepBoth(StepFunction step, const StepBatch& batch,
                                Workspace& workspace) const {
  auto& buffers = static_cast<Buffers&>(workspace);
  StepBatch of_networks = batch;
  of_networks.next_state = buffers.sum.data();
  of_networks.next_observation = nullptr;
  ((*residual_).*step)(of_networks, *buffers.residual);
  ((*physics_).*step)(batch, *buffers.physics);
  const size_t numbers = Size(batch.rows, state_dim());
  for (size_t i = 0; i < numbers; ++i) batch.next_state[i] += buffers.sum[i] - batch.state[i];
  if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
    std::copy_n(batch.next_state, numbers, batch.next_observation);
  }
}

void ResidualDynamics::Step(const StepBatch& batch, Workspace& workspace) const {
  StepBoth(&Dynamics::Step, batch, workspace);
}

void ResidualDynamics::StepMean(const StepBatch& batch, Workspace& workspace) const {
  StepBoth(&Dynamics::StepMean, batch, workspace);
}

void ResidualDynamics::Linearize(const LinearizeBatch& batch, Workspace& workspace) const {
  auto& buffers = static_cast<Buffers&>(workspace);
  LinearizeBatch of_networks = batch;
  of_networks.A = buffers.A.data();
  of_networks.B = buffers.B.data();
  residual_->Linearize(of_networks, *buffers.residual);
  physics_->Linearize(batch, *buffers.physics);
  // A = A_f + A_g - I, B = B_f + B_g
  const size_t nx = Size(state_dim());
  for (size_t i = 0; i < Size(batch.rows, state_dim(), state_dim()); ++i) {
    const size_t entry = i % (nx * nx);
    batch.A[i] += buffers.A[i] - (entry / nx == entry % nx ? 1.0 : 0.0);
  }
  for (size_t i = 0; i < Size(batch.rows, state_dim(), action_dim()); ++i) {
    batch.B[i] += buffers.B[i];
  }
}

std::unique_ptr<RolloutTape> ResidualDynamics::MakeTape(int max_rows, int steps) const {
  return std::make_unique<ResidualTape>(*physics_, *residual_, max_rows, steps);
}

ResidualModel::ResidualModel(const Task& task, const PhysicsOptions& physics,
                             const EnsembleOptions& ensemble, const FitOptions& fit, Key key,
                             std::shared_ptr<Executor> executor)
    : physics_(task, physics),
      residual_(task.spec(), WithoutAbsolute(task.encoding()), ensemble, fit, key,
                std::move(executor)) {
  if (!physics_.noise_moves_state()) {
    throw InputError(
        "model.physics.noise: found measurement with model.kind = residual, expected process: "
        "networks that learn single steps would learn the noise of both ends");
  }
  PublishSum();
}

void ResidualModel::PublishSum() {
  Publish(std::make_shared<const ResidualDynamics>(physics_.snapshot(), residual_.ensemble()));
}

FitMetrics ResidualModel::FitVersion(const Dataset& data, Key key, const FitControl& control) {
  constexpr double kPhysicsShare = 0.1;  // of the work, about
  auto [physics, metrics] = physics_.Find(data, key.Fold(0), control.Part(0, kPhysicsShare));
  const PhysicsModel& found = *physics.members[0];
  Dataset errors(data.observation_dim(), data.action_dim());
  const auto workspace = found.MakeWorkspace(1);
  std::vector<double> next(static_cast<size_t>(data.observation_dim()));
  for (int64_t row = 0; row < data.size(); ++row) {
    const std::span<const double> observation = data.observation(row);
    found.Step({.rows = 1,
                .state = observation.data(),
                .action = data.action(row).data(),
                .next_state = next.data(),
                .key = {}},
               *workspace);
    for (size_t i = 0; i < next.size(); ++i) {
      const double error = data.next_observation(row)[i] - next[i];
      // Without the whole turn by which an angle that wrapped lies elsewhere than its prediction.
      const bool wrapped =
          ObservationDifference::MayHaveWrapped(observation[i], data.next_observation(row)[i]);
      const double turns = wrapped ? difference().Wrapped(i, error) - error : 0;
      next[i] = observation[i] + data.next_observation(row)[i] - next[i] + turns;
    }
    Transition transition = data.transition(row);
    transition.next_observation = next;
    errors.Add(transition);
  }
  const FitControl networks = control.Part(kPhysicsShare, 1);
  for (auto& [name, value] : residual_.Fit(errors, key.Fold(1), networks.stop, networks.progress)) {
    metrics.emplace_back("residual." + name, value);
  }
  physics_.Take(std::move(physics));
  PublishSum();
  return metrics;
}

std::unique_ptr<Dynamics::Workspace> ResidualModel::MakePredictionWorkspace(int max_rows) const {
  auto workspace = std::make_unique<PredictionWorkspace>();
  workspace->of_physics = physics_.snapshot();
  workspace->physics = workspace->of_physics->MakeWorkspace(max_rows);
  workspace->residual = residual_.MakePredictionWorkspace(max_rows);
  workspace->next.resize(Size(max_rows) * Size(workspace->of_physics->observation_dim()));
  return workspace;
}

void ResidualModel::Predict(int member, int rows, const double* observation, const double* action,
                            double* mean, double* deviation, Dynamics::Workspace& workspace) const {
  auto& w = static_cast<PredictionWorkspace&>(workspace);
  residual_.Predict(member, rows, observation, action, mean, deviation, *w.residual);
  w.of_physics->Step({.rows = rows,
                      .state = observation,
                      .action = action,
                      .next_state = w.next.data(),
                      .key = {}},
                     *w.physics);
  const size_t count = Size(rows) * Size(w.of_physics->observation_dim());
  for (size_t i = 0; i < count; ++i) mean[i] += w.next[i] - observation[i];
}

nlohmann::ordered_json ResidualModel::Describe() const { return physics_.Describe(); }

void ResidualModel::Save(TensorFile& file) const {
  physics_.Save(file);
  residual_.Save(file);
}

void ResidualModel::Restore(const TensorFile& file) {
  RestoreBoth(physics_, file, [&] { residual_.Restore(file); });
  PublishSum();
}

void ResidualModel::SavePredictor(TensorFile& file) const {
  physics_.SavePredictor(file);
  residual_.SavePredictor(file);
}

void ResidualModel::RestorePredictor(const TensorFile& file) {
  RestoreBoth(physics_, file, [&] { residual_.RestorePredictor(file); });
  PublishSum();
}

}  // namespace foreplan

#include "foreplan/systems/observed_state.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace foreplan {
namespace {

constexpr double kChange = 1e-5;     // of a component of the state
constexpr double kTolerance = 1e-7;  // of a slope; half the digits of a difference are lost

bool AreEqual(const std::vector<ScenePose>& one, const std::vector<ScenePose>& other) {
  return std::ranges::equal(one, other, [](const ScenePose& a, const ScenePose& b) {
    return a.position == b.position && a.rotation == b.rotation;
  });
}

/// Components of the state by which bodies stand where they do.
std::vector<size_t> SeenComponents(Picture& picture, std::span<const double> state) {
  std::vector<ScenePose> poses(picture.scene().bodies.size());
  std::vector<ScenePose> changed_poses = poses;
  picture.Place(state, poses);
  std::vector<double> changed(state.begin(), state.end());
  std::vector<size_t> seen;
  for (size_t i = 0; i < state.size(); ++i) {
    changed[i] += kChange;
    picture.Place(changed, changed_poses);
    changed[i] = state[i];
    if (!AreEqual(poses, changed_poses)) seen.push_back(i);
  }
  return seen;
}

}  // namespace

ObservedState::ObservedState(const System& system, Picture& picture, std::span<const double> state)
    : system_(system.Clone()),
      changed_(state.begin(), state.end()),
      observed_(system.spec().observation.size()),
      observed_changed_(observed_.size()) {
  system_->SetState(state);
  system_->Observe(observed_);
  for (const size_t component : SeenComponents(picture, state)) {
    Sort(state, component, SlopesOf(state, component));
  }
  std::ranges::sort(compared_);
  compared_.erase(std::unique(compared_.begin(), compared_.end()), compared_.end());
}

std::vector<double> ObservedState::SlopesOf(std::span<const double> state, size_t component) {
  std::ranges::copy(state, changed_.begin());
  changed_[component] += kChange;
  const double change = changed_[component] - state[component];
  system_->SetState(changed_);
  system_->Observe(observed_changed_);
  std::vector<double> slopes(observed_.size());
  for (size_t i = 0; i < slopes.size(); ++i) {
    slopes[i] = (observed_changed_[i] - observed_[i]) / change;
  }
  return slopes;
}

void ObservedState::Sort(std::span<const double> state, size_t component,
                         const std::vector<double>& slopes) {
  for (size_t i = 0; i < slopes.size(); ++i) {
    const bool is_it = std::abs(slopes[i] - 1) < kTolerance && observed_[i] == state[component];
    if (is_it) return read_.push_back({component, i});
  }
  bool is_observed = false;
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (!(std::abs(slopes[i]) > kTolerance)) continue;
    is_observed = true;
    compared_.push_back(i);
  }
  if (is_observed) {
    solved_.push_back(component);
  } else {
    AddMoved(component);
  }
}

// By name: "root_x" moves by "root_x_rate" or "root_x_velocity".
void ObservedState::AddMoved(size_t component) {
  const std::string& name = system_->spec().state[component].name;
  const std::vector<Component>& observation = system_->spec().observation;
  for (const char* suffix : {"_rate", "_velocity"}) {
    const auto found =
        std::ranges::find(observation, name + suffix, [](const Component& c) { return c.name; });
    if (found == observation.end()) continue;
    moved_.push_back({component, static_cast<size_t>(found - observation.begin()),
                      std::string_view(suffix) == "_rate"});
    return;
  }
}

void ObservedState::Follow(std::span<const double> observation_before,
                           std::span<const double> observation, std::span<double> state) {
  const double dt = system_->spec().dt;
  for (const auto& [component, at] : read_) state[component] = observation[at];
  for (const auto& [component, at, is_rate] : moved_) {
    // x' = x + dt (v + v') / 2, or x + dt rate'
    const double velocity =
        is_rate ? observation[at] : (observation_before[at] + observation[at]) / 2;
    state[component] += dt * velocity;
  }
  if (!solved_.empty()) Solve(observation, state);
}

// min |h(x) - o|^2 over the components that are solved for: x += (J'J + mu I)^-1 J' (o - h(x))
void ObservedState::Solve(std::span<const double> observation, std::span<double> state) {
  constexpr int kIterations = 4;
  constexpr double kDamping = 1e-9;  // keeps what no observation says where it is
  constexpr double kEnough = 1e-6;
  const auto rows = static_cast<Eigen::Index>(compared_.size());
  const auto columns = static_cast<Eigen::Index>(solved_.size());
  Eigen::MatrixXd J(rows, columns);
  Eigen::VectorXd error(rows);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    system_->SetState(state);
    system_->Observe(observed_);
    for (Eigen::Index i = 0; i < rows; ++i) {
      const size_t at = compared_[static_cast<size_t>(i)];
      error[i] = observation[at] - observed_[at];
    }
    for (Eigen::Index j = 0; j < columns; ++j) {
      const std::vector<double> slopes = SlopesOf(state, solved_[static_cast<size_t>(j)]);
      for (Eigen::Index i = 0; i < rows; ++i) J(i, j) = slopes[compared_[static_cast<size_t>(i)]];
    }
    Eigen::MatrixXd normal = J.transpose() * J;
    normal.diagonal().array() += kDamping;
    const Eigen::VectorXd change = normal.ldlt().solve(J.transpose() * error);
    if (!change.allFinite()) return;
    for (Eigen::Index j = 0; j < columns; ++j) state[solved_[static_cast<size_t>(j)]] += change[j];
    if (change.norm() < kEnough) return;
  }
}

}  // namespace foreplan

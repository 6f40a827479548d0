// Back from observations to states, as far as they say: to draw what was imagined.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/systems/scene.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Finds, for what is seen of a system, the state that is observed so: components that are observed
/// as they are; those on which observations depend, by Gauss-Newton (angles from their sines and
/// cosines); those that move by a velocity or rate that is observed ("root_x" by "root_x_rate" or
/// "root_x_velocity"). What no observation says stays.
class ObservedState {
 public:
  /// Looks at the system around `state`; what it finds holds for all states.
  ObservedState(const System& system, Picture& picture, std::span<const double> state);

  /// From a state to one that is observed as `observation`, one control period after
  /// `observation_before`. Only what is seen of the state is kept up.
  void Follow(std::span<const double> observation_before, std::span<const double> observation,
              std::span<double> state);

  /// Whether states are found at once, without iterations.
  [[nodiscard]] bool is_read_off() const { return solved_.empty(); }

 private:
  struct Read {  // state[state] = observation[observation]
    size_t state;
    size_t observation;
  };
  struct Moved {
    size_t state;
    size_t observation;  // a velocity, or the mean rate since the state before
    bool is_rate;
  };

  /// Of the observation by a component of the state, by a small change of it.
  [[nodiscard]] std::vector<double> SlopesOf(std::span<const double> state, size_t component);
  void Sort(std::span<const double> state, size_t component, const std::vector<double>& slopes);
  void AddMoved(size_t component);
  void Solve(std::span<const double> observation, std::span<double> state);

  std::unique_ptr<System> system_;
  std::vector<Read> read_;
  std::vector<Moved> moved_;
  std::vector<size_t> solved_;    // components of the state that are found by iteration
  std::vector<size_t> compared_;  // components of the observation that depend on them
  std::vector<double> changed_, observed_, observed_changed_;
};

}  // namespace foreplan

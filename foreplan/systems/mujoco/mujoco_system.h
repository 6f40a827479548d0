// A system simulated by MuJoCo.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_options.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/system_factory.h"

namespace foreplan {

/// State = (qpos, qvel, act, time, qacc_warmstart, fields of the model that resets draw, what is
/// observed and cannot be computed from these; see MujocoObservation). Components are named after
/// joints: "hinge" and "hinge_velocity"; free and ball joints have one name per coordinate, e.g.
/// "root_x", "root_qw", "root_x_velocity", "root_x_angular_velocity". An unnamed joint i is called
/// "joint<i>". Actions are MuJoCo's controls, bounded by ctrlrange. All names of actions differ,
/// and all of observations.
///
/// What else MuJoCo could carry from step to step is refused (mujoco.h), or never changes: places
/// of mocap bodies, which equalities are active, applied forces, user data.
///
/// The compiled model is shared between clones and never written; where resets draw some of it,
/// each system has a copy.
class MujocoSystem final : public System {
 public:
  using Options = MujocoOptions;

  /// Throws InputError when the model cannot be compiled, an actuator has no range (planners need
  /// bounds), bodies may fall asleep, or a part of the observation, a keyframe or a place to draw
  /// is unknown.
  explicit MujocoSystem(const Options& options);
  /// The same with a model that has been compiled already.
  MujocoSystem(const Options& options, MujocoModel model);
  ~MujocoSystem() override;

  [[nodiscard]] const SystemSpec& spec() const override;
  [[nodiscard]] std::unique_ptr<System> Clone() const override;

  /// Rest position, keyframe or state of a file, noise and draws, settling (MujocoReset),
  /// mj_forward. A start that diverges while it settles makes the first step diverge.
  void Reset(Key key) override;

  /// frame_skip times mj_step. A warning of the simulator or a number beyond 1e10 is a divergence.
  [[nodiscard]] StepOutcome Step(std::span<const double> action) override;

  void StepRows(const SystemRows& rows) override;

  /// NaN where MuJoCo cannot evaluate the state.
  void Observe(std::span<double> observation) const override;
  void GetState(std::span<double> state) const override;
  void SetState(std::span<const double> state) override;
  [[nodiscard]] std::string Divergence() const override;

  /// Tangent = (change of qpos [nv], of qvel [nv], of act [na], of what was measured).
  [[nodiscard]] int tangent_dim() const override;
  void Difference(std::span<const double> state, std::span<const double> reference,
                  std::span<double> tangent) const override;
  /// Central differences around whole steps, for every integrator; every evaluation starts from the
  /// same time and warm start. At a bound the difference is one-sided, outside it is 0.
  void Linearize(const SystemDerivatives& derivatives) override;
  void ObservationJacobian(std::span<const double> state, std::span<double> jacobian) override;

  /// Observed at the new state: what xpos, geom_xpos and site_xpos depend on, when all joints are
  /// hinges or slides and observed.
  [[nodiscard]] DependentComponents dependent_components() const override;
  void DependentJacobian(std::span<double> jacobian) const override;
  [[nodiscard]] std::unique_ptr<Picture> MakePicture() const override;

  [[nodiscard]] const mjModel& model() const;

 private:
  struct Shared;  // model, options and spec: the same for all clones

  /// Computes what is observed at the present state, unless that is done. Throws MujocoError.
  void Evaluate() const;
  /// After a MujocoError: gives back what MuJoCo held, keeps the state.
  void Release() const;
  [[nodiscard]] size_t MemoryOffset() const;  // of what was measured, in a state row
  /// Moves entry `index` of the tangent space by `change`.
  void Displace(std::span<double> state, int index, double change) const;
  /// Steps from `state` with `action`; the new full state, or false.
  [[nodiscard]] bool StepFrom(std::span<const double> state, std::span<const double> action,
                              std::span<double> next);

  explicit MujocoSystem(std::shared_ptr<const Shared> shared);

  /// The model with these fields; does nothing where it has them. Else allocates.
  void SetFields(std::span<const double> fields);

  std::shared_ptr<const Shared> shared_;
  std::shared_ptr<mjModel> own_model_;  // where resets draw fields of it
  std::vector<double> fields_;          // of the own model
  MujocoData data_;
  std::vector<double> memory_;         // of the observation
  mutable bool is_evaluated_ = false;  // what is observed is that of the state
  mutable std::vector<double> kept_;   // [nq + nv], of Evaluate
  std::optional<MujocoFault> fault_;   // why the simulation stopped
  std::string fatal_error_;            // or the fatal error that stopped it
  double fault_time_ = 0;              // start of the simulator step that failed [s]
  // Of Linearize:
  std::vector<double> moved_, above_, below_;          // [state_dim]
  std::vector<double> action_, tangent_, coordinate_;  // [nu], [nx], [max(no, nv)]
};

std::unique_ptr<SystemFactory> MakeMujocoFactory();

}  // namespace foreplan

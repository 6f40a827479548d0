// Observations of simulations of one model; what may be observed: mujoco_observation_parts.h.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "foreplan/expressions/expression_tape.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_arrays.h"
#include "foreplan/systems/mujoco/mujoco_observation_parts.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Reads observations from simulations of one model.
///
/// What is observed and cannot be computed from the rest of a system's state is part of it, as its
/// "memory": rates, the controls of the last step where forces are observed, and at
/// ObservedAt::kLastEvaluation all that is measured within a step.
class MujocoObservation {
 public:
  MujocoObservation() = default;

  /// Throws InputError that starts with `where` for names and ranges that the model lacks, for what
  /// is observed twice and for what has no name. Expressions may name the constants.
  MujocoObservation(const std::string& where, const mjModel& model,
                    std::span<const ObservationPart> parts,
                    const std::vector<NamedConstant>& constants, double dt, ObservedAt at);

  /// All names differ.
  [[nodiscard]] const std::vector<Component>& components() const { return components_; }
  [[nodiscard]] const std::vector<Component>& memory() const { return memory_; }

  /// True for memory that the next step's measurement depends on; what else is measured only stays.
  [[nodiscard]] bool StepReads(size_t memory) const;

  /// Computes at the state of `data` what is observed there; may change the warm start.
  void Evaluate(const mjModel& model, mjData& data) const;
  [[nodiscard]] bool NeedsEvaluation() const { return needs_ != MujocoEvaluation::kNone; }
  /// Whether BeginStep and EndStep read what is evaluated, too; they do for rates.
  [[nodiscard]] bool StepReadsEvaluation() const { return step_reads_evaluation_; }
  /// Gives `data` the controls that the memory holds.
  void SetControls(std::span<const double> memory, mjData& data) const;

  // `data` is evaluated where these read it. memory: [memory().size()].
  /// After a reset, with all arrays of `data` at its state.
  void Start(const mjData& data, std::span<double> memory) const;
  /// Around the substeps of one control period.
  void BeginStep(const mjData& data, std::span<double> memory) const;
  void EndStep(const mjModel& model, mjData& data, std::span<double> memory) const;
  /// observation: [components().size()].
  void Observe(const mjData& data, std::span<const double> memory,
               std::span<double> observation) const;

  /// Positions of bodies and sites, as functions of the joints: at the new state, when all joints
  /// are hinges or slides whose positions are observed; else none.
  [[nodiscard]] DependentComponents Dependent(const mjModel& model) const;
  /// `data` is evaluated: [dependent x on].
  void DependentJacobian(const mjModel& model, const mjData& data,
                         const DependentComponents& components, std::span<double> jacobian) const;

 private:
  using Number = ObservationGraph::Number;
  /// A number of an array, a rate, or what an expression makes of them.
  struct Formula {
    int input = -1;  // that it is; -1: it is computed
    int tape = -1;
  };
  struct Rate {
    Formula term;
    int memory = -1;  // where the rate is remembered
    int before = -1;  // where its last term is; -1: it is computed from qpos, qvel and act
  };
  struct Input {
    Number number;
    int rate = -1;  // in the place of a number
  };
  struct Entry {
    int node = 0;
    Formula formula;
    int memory = -1;  // where the value is remembered; -1: it is computed
  };

  class Builder;

  [[nodiscard]] double Read(const mjData& data, std::span<const double> memory, int input) const;
  [[nodiscard]] double Value(const mjData& data, std::span<const double> memory,
                             const Formula& formula) const;
  [[nodiscard]] double Term(const mjData& data, const Rate& rate) const {
    return Value(data, {}, rate.term);
  }
  void KeepControls(const mjData& data, std::span<double> memory) const;
  void KeepValues(const mjData& data, std::span<double> memory) const;

  std::vector<Entry> entries_;
  std::vector<Input> inputs_;
  std::vector<Rate> rates_;
  std::vector<ExpressionTape> tapes_;
  std::vector<Component> components_;
  std::vector<Component> memory_;
  double dt_ = 0;
  ObservedAt at_ = ObservedAt::kNewState;
  MujocoEvaluation needs_ = MujocoEvaluation::kNone;
  size_t first_control_ = 0;  // in the memory
  size_t controls_ = 0;       // that the memory holds
  bool step_reads_evaluation_ = false;
  bool observes_forces_ = false;  // cfrc_ext is computed on demand only
};

}  // namespace foreplan

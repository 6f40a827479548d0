// What a controller sees of a MuJoCo simulation, as a list of texts in a task file:
//
//   observation = ["qpos[1:]", "clip(qvel, -10, 10)", "rate(qpos[0])",
//                  "xpos(fingertip)[0:2] - xpos(target)[0:2]"]
//
//   part       = term | sin(term) | cos(term) | clip(term, LOW, HIGH) | rate(term)
//   term       = quantity | quantity - quantity (of the same length)
//   quantity   = ARRAY | ARRAY[i] | ARRAY[i:j] | ARRAY[i:] | ARRAY[:j]
//   ARRAY      = qpos, qvel, act; qfrc_actuator, qfrc_constraint (per degree of freedom);
//                xpos(BODY), subtree_com(BODY), geom_xpos(GEOM), site_xpos(SITE) (x, y, z);
//                sensor(SENSOR); cinert, cvel, cfrc_ext (10, 6, 6 numbers per body; here i and j
//                count bodies)
//
// rate(t) is (t now - t one control period ago) / period, 0 after a reset.
//
// A component is called like the object that it is of. What would be called like a component of an
// earlier part says what kind of object it is of, e.g. "hip_sensor", "tip_site_x"; an object
// without a name is called by its kind and number, e.g. "joint3". Blanks and other characters of a
// name stand between ' and '.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/expressions/text_scanner.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_arrays.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// The moment that all numbers but qpos, qvel and act are of.
enum class ObservedAt {
  /// The state that is observed, as mj_forward gives them there with the controls of the last step.
  kNewState,
  /// As mj_step leaves them, which published tasks observe: of the last evaluation INSIDE the step
  /// (the start of the last substep, or the last Runge-Kutta stage), up to one substep old.
  kLastEvaluation,
};

/// One text of the list, understood but not yet looked up in a model.
struct ObservationPart {
  enum class Function { kValue, kSin, kCos, kClip, kRate };
  struct Quantity {
    size_t array = 0;    // place in the table of arrays
    std::string object;  // body or site, "" for arrays of the whole model
    IndexRange range;
  };

  std::string text;
  Function function = Function::kValue;
  double low = 0;   // of kClip
  double high = 0;  // of kClip
  Quantity quantity;
  std::optional<Quantity> subtracted;
};

/// Throws InputError that starts with `where`, for what is no part; names the nearest array.
std::vector<ObservationPart> ParseObservation(const std::string& where,
                                              std::span<const std::string> texts);

/// Reads observations from simulations of one model.
///
/// What is observed and cannot be computed from the rest of a system's state is part of it, as its
/// "memory": rates, the controls of the last step where forces are observed, and at
/// ObservedAt::kLastEvaluation all that is measured within a step.
class MujocoObservation {
 public:
  MujocoObservation() = default;

  /// Throws InputError that starts with `where` for names and ranges that the model lacks, and for
  /// what is observed twice.
  MujocoObservation(const std::string& where, const mjModel& model,
                    std::span<const ObservationPart> parts, double dt, ObservedAt at);

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
  struct Number {  // of an array of mjData
    size_t array = 0;
    int index = 0;

    bool operator==(const Number&) const = default;
  };
  struct Entry {
    ObservationPart::Function function = ObservationPart::Function::kValue;
    double low = 0;
    double high = 0;
    Number number;
    std::optional<Number> subtracted;
    int memory = -1;  // where the value is remembered; -1: read from qpos and qvel
    int before = -1;  // of a rate: where its last term is remembered; -1: read from qpos and qvel

    [[nodiscard]] bool ReadsTheSame(const Entry& other) const {
      return function == other.function && low == other.low && high == other.high &&
             number == other.number && subtracted == other.subtracted;
    }
  };

  [[nodiscard]] static std::vector<Number> NumbersOf(const std::string& where, const mjModel& model,
                                                     const ObservationPart::Quantity& quantity);
  [[nodiscard]] static std::vector<Entry> EntriesOf(const std::string& where, const mjModel& model,
                                                    const ObservationPart& part);
  void CheckNew(const std::string& where, const ObservationPart& part, const Entry& entry) const;
  void Add(const mjModel& model, Entry entry, Component component, const std::string& term);
  void RememberControls(const mjModel& model);
  void KeepControls(const mjData& data, std::span<double> memory) const;
  int Remember(const Component& component);
  [[nodiscard]] static double Term(const mjData& data, const Entry& entry);
  [[nodiscard]] static double Value(const mjData& data, const Entry& entry);

  std::vector<Entry> entries_;
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

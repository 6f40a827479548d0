// Where episodes of a MuJoCo system start: noise (reset.h) around the model's rest position, one of
// its keyframes or a state of a file, and what is drawn otherwise, as a list of texts in a task
// file:
//
//   draw = ["target_y = normal(0.25, 0.1)", "qvel[7:11] = 0",
//           "qpos[2:4] = ring(-0.2, 0.2, -0.2, 0.2, 0, 0.2)"]
//
//   text   = places '=' NUMBER | normal(MEAN, SIGMA) | uniform(LOW, HIGH)
//            | ring(X_LOW, X_HIGH, Y_LOW, Y_HIGH, R_LOW, R_HIGH) | polar(R_LOW, R_HIGH)
//   places = qpos | qvel | act (with a range as in observations)
//            | the name of a position, velocity or activation
//            | FIELD(OBJECT) of the model (mujoco_parameters.h), e.g. geom_pos(target)[0:2]
//
// Each number is drawn for itself and replaces what was there. A ring is a point (x, y), uniform
// in the rectangle where R_LOW < |(x, y)| < R_HIGH; polar is one whose distance from the origin and
// whose direction are uniform.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/expressions/text_scanner.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_parameters.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct MujocoResetOptions : ResetOptions {
  // Names or numbers, separated by commas; '*' in a name stands for any characters. One is drawn.
  // Empty: the rest position.
  std::string keyframe;
  // CSV file with columns called as positions, velocities and activations: one row is drawn and
  // replaces these numbers. Empty: none.
  std::string states;
  std::vector<std::string> draw = {};
  int settle_steps = 0;  // simulator steps before the episode begins, 0 ... 1000000

  void Visit(OptionsVisitor& visitor);
};

/// One text of the list, understood but not yet looked up in a model.
struct ResetDraw {
  enum class Kind { kConstant, kNormal, kUniform, kRing, kPolar };

  std::string places;
  std::string object;  // of a field of the model
  IndexRange range;
  Kind kind = Kind::kConstant;
  std::array<double, 6> numbers{};  // as many as the kind has
};

/// Throws InputError that starts with `where`.
std::vector<ResetDraw> ParseResetDraws(const std::string& where,
                                       std::span<const std::string> texts);

/// Draws start states of one model. The noise is of positions and velocities; a keyframe also gives
/// the time, activations, controls and the places of mocap bodies. Mocap bodies stay where the
/// first keyframe has them, as no state holds their places: keyframes that differ there are
/// refused.
class MujocoReset {
 public:
  MujocoReset() = default;

  /// Throws InputError that starts with `where` and the key, or with the file of states, for what
  /// the model lacks.
  MujocoReset(const std::string& where, const mjModel& model, const MujocoResetOptions& options);

  /// The state that the noise is around; of several keyframes the first.
  void Rest(const mjModel& model, mjData& data) const;
  /// The same with noise and what is drawn (quaternions normalised); fields: [fields().size()],
  /// what was drawn of the model, for the caller to set.
  void Draw(const mjModel& model, Random& random, mjData& data, std::span<double> fields) const;
  /// Of the model, that differ from start to start: part of a state.
  [[nodiscard]] const std::vector<MujocoParameter>& fields() const { return fields_; }
  /// E.g. "geom_pos(target)[0]".
  [[nodiscard]] const std::vector<std::string>& field_names() const { return field_names_; }
  /// Lets it settle under the controls of the start; the time stays what it is. What went wrong, if
  /// anything.
  [[nodiscard]] std::optional<MujocoFault> Settle(const mjModel& model, mjData& data) const;

 private:
  struct Rule {
    ResetDraw draw;
    mjtNum* mjData::*array = nullptr;  // null: of the drawn fields of the model
    int first = 0;
    int last = 0;
  };

  [[nodiscard]] static Rule RuleOf(const std::string& where, const mjModel& model,
                                   const ResetDraw& draw);

  /// Rows of a file, each of the same places of a state.
  struct States {
    struct Place {
      mjtNum* mjData::*array;
      int index;
    };
    std::vector<Place> places;
    std::vector<double> values;  // [rows x places]
  };

  [[nodiscard]] Rule FieldRule(const std::string& where, const mjModel& model,
                               const ResetDraw& draw);
  [[nodiscard]] static States ReadStates(const mjModel& model, const std::string& file);
  void CheckMocapBodies(const std::string& where, const mjModel& model) const;

  ResetOptions noise_;
  int settle_steps_ = 0;
  std::vector<int> keyframes_;  // empty: the rest position
  States states_;
  std::vector<Rule> rules_;
  std::vector<MujocoParameter> fields_;
  std::vector<std::string> field_names_;
};

}  // namespace foreplan

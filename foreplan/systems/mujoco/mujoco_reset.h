// Where episodes of a MuJoCo system start: noise (reset.h) around the model's rest position or one
// of its keyframes, and what is drawn otherwise, as a list of texts in a task file:
//
//   draw = ["target_y = normal(0.25, 0.1)", "qvel[7:11] = 0",
//           "qpos[2:4] = ring(-0.2, 0.2, -0.2, 0.2, 0, 0.2)"]
//
//   text   = places '=' NUMBER | normal(MEAN, SIGMA) | uniform(LOW, HIGH)
//            | ring(X_LOW, X_HIGH, Y_LOW, Y_HIGH, R_LOW, R_HIGH)
//   places = qpos | qvel | act (with a range as in observations)
//            | the name of a position, velocity or activation
//
// Each number is drawn for itself and replaces what was there. A ring is a point (x, y), uniform
// in the rectangle where R_LOW < |(x, y)| < R_HIGH.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/expressions/text_scanner.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct MujocoResetOptions : ResetOptions {
  std::string keyframe;  // its name, or its number; empty: the rest position
  std::vector<std::string> draw = {};

  void Visit(OptionsVisitor& visitor);
};

/// One text of the list, understood but not yet looked up in a model.
struct ResetDraw {
  enum class Kind { kConstant, kNormal, kUniform, kRing };

  std::string places;
  IndexRange range;
  Kind kind = Kind::kConstant;
  std::array<double, 6> numbers{};  // as many as the kind has
};

/// Throws InputError that starts with `where`.
std::vector<ResetDraw> ParseResetDraws(const std::string& where,
                                       std::span<const std::string> texts);

/// Draws start states of one model. The noise is of positions and velocities; a keyframe also gives
/// the time, activations, controls and the places of mocap bodies.
class MujocoReset {
 public:
  MujocoReset() = default;

  /// Throws InputError that starts with `where`.keyframe or `where`.draw for what the model lacks.
  MujocoReset(const std::string& where, const mjModel& model, const MujocoResetOptions& options);

  /// The state that the noise is around.
  void Rest(const mjModel& model, mjData& data) const;
  /// The same with noise and what is drawn (quaternions normalised).
  void Draw(const mjModel& model, Random& random, mjData& data) const;

 private:
  struct Rule {
    ResetDraw draw;
    mjtNum* mjData::*array = nullptr;
    int first = 0;
    int last = 0;
  };

  [[nodiscard]] static Rule RuleOf(const std::string& where, const mjModel& model,
                                   const ResetDraw& draw);

  ResetOptions noise_;
  int keyframe_ = -1;  // none
  std::vector<Rule> rules_;
};

}  // namespace foreplan

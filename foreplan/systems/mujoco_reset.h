// Where episodes of a MuJoCo system start: noise around the model's rest position (reset.h), and
// what is drawn otherwise, as a list of texts in a task file:
//
//   draw = ["target_y = normal(0.25, 0.1)", "qvel[7:11] = 0",
//           "qpos[2:4] = ring(-0.2, 0.2, -0.2, 0.2, 0, 0.2)"]
//
//   text   = places '=' NUMBER | normal(MEAN, SIGMA) | uniform(LOW, HIGH)
//            | ring(X_LOW, X_HIGH, Y_LOW, Y_HIGH, R_LOW, R_HIGH)
//   places = qpos | qvel (with a range as in observations) | the name of a position or velocity
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
#include "foreplan/systems/mujoco.h"
#include "foreplan/systems/reset.h"
#include "foreplan/systems/text_scanner.h"

namespace foreplan {

struct MujocoResetOptions : ResetOptions {
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

/// Draws start states of one model.
class MujocoReset {
 public:
  MujocoReset() = default;

  /// Throws InputError that starts with `where` for places that the model lacks.
  MujocoReset(const std::string& where, const mjModel& model, const MujocoResetOptions& options);

  /// Writes qpos (quaternions normalised) and qvel.
  void Draw(const mjModel& model, Random& random, mjData& data) const;

 private:
  struct Rule {
    ResetDraw draw;
    bool velocity = false;  // of qvel, else of qpos
    int first = 0;
    int last = 0;
  };

  ResetOptions noise_;
  std::vector<Rule> rules_;
};

}  // namespace foreplan

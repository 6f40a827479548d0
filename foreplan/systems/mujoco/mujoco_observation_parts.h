// What a controller sees of a MuJoCo simulation, as a list of texts in a task file:
//
//   observation = ["qpos[1:]", "clip(qvel, -10, 10)", "rate(qpos[0])",
//                  "xpos(fingertip)[0:2] - xpos(target)[0:2]",
//                  "height [m] = 0.1 - site_xpos(tip)[2]"]
//
//   part       = expression | names = expression
//   names      = NAME | NAME [UNIT], joined by ',': one for each number of the expression; a unit
//                counts for the names before it, too
//   expression = as in rewards (expression_syntax.h), of constants of the task and of
//   arrays       qpos, qvel, act; qfrc_actuator, qfrc_constraint (per degree of freedom);
//                xpos(BODY), subtree_com(BODY), geom_xpos(GEOM), site_xpos(SITE) (x, y, z);
//                xmat(BODY), geom_xmat(GEOM), site_xmat(SITE) (3 x 3, row by row), xquat(BODY);
//                sensor(SENSOR); cinert, cvel, cfrc_ext (10, 6, 6 numbers per body, which a range
//                counts as one)
//   numbers      of the state, by name: "shoulder" is the qpos of that joint
//   rates        rate(x): (x now - x one control period ago) / period, 0 after a reset
//
// A component without a name in the text is called like what it is of: "hip", "hip_sin",
// "hip_plus_knee", "hip_minus_knee", "hip_clipped"; where there is no such name, the text must give
// one. What would be called like a component of an earlier part says what kind of object it is of,
// e.g. "hip_sensor", "tip_site_x"; an object without a name is called by its kind and number, e.g.
// "joint3". Blanks and other characters of a name stand between ' and '.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_arrays.h"

namespace foreplan {

/// One text of the list, understood but not yet looked up in a model.
struct ObservationPart {
  std::string text;              // as it was written
  std::vector<Component> given;  // names and units ("": unknown); none: they are made up
  ExpressionText expression;
};

/// Throws InputError that starts with `where`, for what is no part.
std::vector<ObservationPart> ParseObservation(const std::string& where,
                                              std::span<const std::string> texts);

/// The expressions of all parts as one graph, whose inputs are numbers of a simulation.
class ObservationGraph final : private ExpressionArrays {
 public:
  struct Number {  // of an array of mjData
    size_t array = 0;
    int index = 0;

    auto operator<=>(const Number&) const = default;
  };
  struct Input {
    Number number;
    int rate_of = -1;  // the node whose rate it is, in the place of a number
  };

  /// `where` starts messages; model and constants must outlive it.
  ObservationGraph(std::string where, const mjModel& model,
                   const std::vector<NamedConstant>& constants);
  ObservationGraph(const ObservationGraph&) = delete;
  ObservationGraph& operator=(const ObservationGraph&) = delete;

  /// The node of every number of the expression. Throws InputError for names and ranges that the
  /// model lacks, and for a number that never changes.
  std::vector<int> Compile(const ExpressionText& expression);

  [[nodiscard]] const ExpressionGraph& graph() const { return compiler_.graph(); }
  [[nodiscard]] const std::vector<Input>& inputs() const { return inputs_; }
  /// Those that a node depends on, in order.
  [[nodiscard]] std::vector<int> InputsOf(int node) const;
  /// The input that a node is; -1: it is another operation.
  [[nodiscard]] int InputAt(int node) const;

  /// Whether the first number is one of a named object.
  [[nodiscard]] bool IsOfNamedObject(int node) const;
  /// What a node is called, with the kind of object where asked for; nothing for one without a name
  /// of its own, e.g. a sum with a constant.
  [[nodiscard]] std::optional<Component> NameOf(int node, bool with_kind) const;

 private:
  std::optional<Rows> Find(const std::string& name, const std::string& object) override;
  int RateOf(int node) override;
  [[nodiscard]] std::vector<std::string> Names() const override;
  [[nodiscard]] std::vector<std::string> NamesOfObjects() const override;

  int InputOf(const Number& number);
  [[nodiscard]] std::optional<Number> NumberOfState(const std::string& name) const;
  [[nodiscard]] std::optional<Component> NameOfInput(const Input& input, bool with_kind) const;
  [[nodiscard]] std::optional<Component> NameOfPair(const ExpressionNode& node,
                                                    bool with_kind) const;

  std::string where_;
  const mjModel& model_;
  StateComponents state_;
  std::vector<Input> inputs_;
  std::map<Number, int> input_of_;
  std::map<int, int> rate_of_;  // node to input
  ExpressionDefinitions constants_;
  ExpressionCompiler compiler_;
};

}  // namespace foreplan

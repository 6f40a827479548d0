#include "foreplan/expressions/expression_tape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace foreplan {
namespace {

using Op = ExpressionOp;

/// First and second derivatives of an operation by its operands a and b.
struct Partials {
  double a = 0, b = 0;
  double aa = 0, ab = 0, bb = 0;
};

// What does not change has no part in a derivative, even where that is infinite.
double Product(double factor, double change) { return change == 0 ? 0.0 : factor * change; }

// y is the operation's value.
Partials PartialsOfOne(Op op, double a, double y) {
  switch (op) {
    case Op::kNegate:
      return {.a = -1};
    case Op::kAbs:
      return {.a = a < 0 ? -1.0 : 1.0};
    case Op::kSqrt:
      return {.a = 0.5 / y, .aa = -0.25 / (y * y * y)};
    case Op::kExp:
      return {.a = y, .aa = y};
    case Op::kLog:
      return {.a = 1 / a, .aa = -1 / (a * a)};
    case Op::kSin:
      return {.a = std::cos(a), .aa = -y};
    case Op::kCos:
      return {.a = -std::sin(a), .aa = -y};
    case Op::kTan:
      return {.a = 1 + y * y, .aa = 2 * y * (1 + y * y)};
    case Op::kAsin:
    case Op::kAcos: {
      // asin' = 1 / sqrt(1 - a^2), asin'' = a / (1 - a^2)^(3/2); acos is pi/2 - asin
      const double sign = op == Op::kAsin ? 1 : -1;
      const double rest = 1 - a * a;
      const double slope = sign / std::sqrt(rest);
      return {.a = slope, .aa = slope * a / rest};
    }
    case Op::kTanh:
      return {.a = 1 - y * y, .aa = -2 * y * (1 - y * y)};
    default:  // constant nearly everywhere
      return {};
  }
}

Partials PartialsOfTwo(Op op, double a, double b, double y) {
  switch (op) {
    case Op::kAdd:
      return {.a = 1, .b = 1};
    case Op::kSubtract:
      return {.a = 1, .b = -1};
    case Op::kMultiply:
      return {.a = b, .b = a, .ab = 1};
    case Op::kDivide: {
      const double inverse = 1 / b;
      return {.a = inverse,
              .b = -y * inverse,
              .ab = -inverse * inverse,
              .bb = 2 * y * inverse * inverse};
    }
    case Op::kMin:
      return b < a ? Partials{.b = 1} : Partials{.a = 1};
    case Op::kMax:
      return a < b ? Partials{.b = 1} : Partials{.a = 1};
    case Op::kAtan2: {
      // d atan2(a, b) = (b da - a db) / d, d = a^2 + b^2
      const double d = a * a + b * b;
      return {.a = b / d,
              .b = -a / d,
              .aa = -2 * a * b / (d * d),
              .ab = (a * a - b * b) / (d * d),
              .bb = 2 * a * b / (d * d)};
    }
    case Op::kPower: {
      // d a^b = b a^(b-1) da + a^b log(a) db
      const double log_a = std::log(a);
      const double lower = std::pow(a, b - 1);
      return {.a = b * lower,
              .b = y * log_a,
              .aa = b * (b - 1) * std::pow(a, b - 2),
              .ab = lower * (1 + b * log_a),
              .bb = y * log_a * log_a};
    }
    default:  // conditions
      return {};
  }
}

}  // namespace

ExpressionTape::ExpressionTape(const ExpressionGraph& graph, int output, TransitionSizes sizes)
    : sizes_(sizes) {
  const std::vector<int> order = graph.InOrder({output});
  if (order.size() > kMaxSteps) {
    throw graph.source(graph[output].source)
        .Error(graph[output].position,
               fmt::format("found {} operations, expected at most {}", order.size(), kMaxSteps));
  }
  std::map<int, int> step_of;
  for (const int node : order) {
    const ExpressionNode& from = graph[node];
    Step step{.op = from.op, .constant = from.constant, .node = node};
    for (size_t k = 0; k < 3; ++k) {
      if (from.operands[k] >= 0) step.operands[k] = step_of.at(from.operands[k]);
    }
    const auto index = static_cast<int>(steps_.size());
    step_of[node] = index;
    if (from.op == Op::kPrevious) inputs_.push_back({index, from.index});
    if (from.op == Op::kAction) inputs_.push_back({index, sizes.observation + from.index});
    if (from.op == Op::kNext) {
      inputs_.push_back({index, sizes.observation + sizes.action + from.index});
    }
    steps_.push_back(step);
  }
}

void ExpressionTape::ComputeValues(const double* observation, const double* action,
                                   const double* next_observation, double* values) const {
  for (const auto& [step, variable] : inputs_) {
    const int of_action = variable - sizes_.observation;
    const int of_next = of_action - sizes_.action;
    values[step] = of_next >= 0     ? next_observation[of_next]
                   : of_action >= 0 ? action[of_action]
                                    : observation[variable];
  }
  Compute(values);
}

void ExpressionTape::Compute(double* values) const {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const auto operand = [&](size_t k) {
      return step.operands[k] < 0 ? 0.0 : values[step.operands[k]];
    };
    if (step.op == Op::kConstant) {
      values[i] = step.constant;
    } else if (OperandCount(step.op) > 0) {
      values[i] = ApplyOperation(step.op, operand(0), operand(1), operand(2));
    }
  }
}

// t = f_a t_a + f_b t_b
void ExpressionTape::ComputeTangents(const double* values, int seed, double* tangents) const {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const auto& [op, operands, constant, node] = steps_[i];
    const int count = OperandCount(op);
    if (count == 0) {
      tangents[i] = static_cast<int>(i) == seed ? 1 : 0;
    } else if (op == Op::kSelect) {
      tangents[i] = tangents[operands[values[operands[0]] != 0 ? 1 : 2]];
    } else if (count == 1) {
      const double change = tangents[operands[0]];
      tangents[i] = change == 0 ? 0 : PartialsOfOne(op, values[operands[0]], values[i]).a * change;
    } else {
      const double change_a = tangents[operands[0]];
      const double change_b = tangents[operands[1]];
      tangents[i] = 0;
      if (change_a == 0 && change_b == 0) continue;
      const Partials f = PartialsOfTwo(op, values[operands[0]], values[operands[1]], values[i]);
      tangents[i] = Product(f.a, change_a) + Product(f.b, change_b);
    }
  }
}

// For the operands of y = f(a, b), with adjoints w and their tangents w':
//   w_a += f_a w,  w'_a += f_a w' + (f_aa t_a + f_ab t_b) w,  and b likewise.
void ExpressionTape::ComputeAdjoints(const double* values, const double* tangents, double* adjoints,
                                     double* adjoint_tangents) const {
  std::fill_n(adjoints, steps_.size(), 0.0);
  std::fill_n(adjoint_tangents, steps_.size(), 0.0);
  adjoints[steps_.size() - 1] = 1;
  for (size_t i = steps_.size(); i-- > 0;) {
    const auto& [op, operands, constant, node] = steps_[i];
    const double w = adjoints[i];
    const double w_tangent = adjoint_tangents[i];
    const int count = OperandCount(op);
    if (count == 0 || (w == 0 && w_tangent == 0)) continue;
    const int a = operands[0];
    const int b = operands[1];
    if (op == Op::kSelect) {
      const int taken = operands[values[a] != 0 ? 1 : 2];
      adjoints[taken] += w;
      adjoint_tangents[taken] += w_tangent;
      continue;
    }
    const double t_a = tangents[a];
    if (count == 1) {
      const Partials f = PartialsOfOne(op, values[a], values[i]);
      adjoints[a] += Product(f.a, w);
      adjoint_tangents[a] += Product(f.a, w_tangent) + Product(Product(f.aa, t_a), w);
      continue;
    }
    const double t_b = tangents[b];
    const Partials f = PartialsOfTwo(op, values[a], values[b], values[i]);
    adjoints[a] += Product(f.a, w);
    adjoints[b] += Product(f.b, w);
    adjoint_tangents[a] +=
        Product(f.a, w_tangent) + Product(Product(f.aa, t_a) + Product(f.ab, t_b), w);
    adjoint_tangents[b] +=
        Product(f.b, w_tangent) + Product(Product(f.ab, t_a) + Product(f.bb, t_b), w);
  }
}

void ExpressionTape::Gradient(const double* observation, const double* action,
                              const double* next_observation, double* gradient) const {
  std::array<double, kMaxSteps> values;
  std::array<double, kMaxSteps> tangents;
  std::array<double, kMaxSteps> adjoints;
  std::array<double, kMaxSteps> adjoint_tangents;
  std::fill_n(gradient, 2 * sizes_.observation + sizes_.action, 0.0);
  std::fill_n(tangents.begin(), steps_.size(), 0.0);
  ComputeValues(observation, action, next_observation, values.data());
  ComputeAdjoints(values.data(), tangents.data(), adjoints.data(), adjoint_tangents.data());
  for (const Input& input : inputs_) {
    gradient[input.variable] = adjoints[static_cast<size_t>(input.step)];
  }
}

double ExpressionTape::Expand(const double* observation, const double* action,
                              const double* next_observation, double* gradient,
                              double* hessian) const {
  std::array<double, kMaxSteps> values;
  std::array<double, kMaxSteps> tangents;
  std::array<double, kMaxSteps> adjoints;
  std::array<double, kMaxSteps> adjoint_tangents;
  const auto nz = static_cast<size_t>(2 * sizes_.observation + sizes_.action);
  std::fill_n(gradient, nz, 0.0);
  std::fill_n(hessian, nz * nz, 0.0);
  ComputeValues(observation, action, next_observation, values.data());
  for (const Input& seed : inputs_) {
    ComputeTangents(values.data(), seed.step, tangents.data());
    ComputeAdjoints(values.data(), tangents.data(), adjoints.data(), adjoint_tangents.data());
    gradient[seed.variable] = adjoints[static_cast<size_t>(seed.step)];
    double* row = hessian + static_cast<size_t>(seed.variable) * nz;
    for (const Input& input : inputs_) {
      row[input.variable] = adjoint_tangents[static_cast<size_t>(input.step)];
    }
  }
  return values[steps_.size() - 1];
}

ExpressionTape::Culprit ExpressionTape::FindCulprit(const double* observation, const double* action,
                                                    const double* next_observation) const {
  std::array<double, kMaxSteps> values;
  ComputeValues(observation, action, next_observation, values.data());
  const auto is_finite = [&](int step) { return std::isfinite(values[static_cast<size_t>(step)]); };
  int at = static_cast<int>(steps_.size()) - 1;
  if (is_finite(at)) return {};
  // Back along what is not finite, on the taken side of a branch.
  for (bool found = false; !found;) {
    const Step& step = steps_[static_cast<size_t>(at)];
    found = true;
    const bool select = step.op == Op::kSelect;
    for (size_t k = select ? 1 : 0; k < static_cast<size_t>(OperandCount(step.op)); ++k) {
      const bool taken =
          !select || k == (values[static_cast<size_t>(step.operands[0])] != 0 ? 1U : 2U);
      if (!taken || is_finite(step.operands[k])) continue;
      at = step.operands[k];
      found = false;
      break;
    }
  }
  const Step& step = steps_[static_cast<size_t>(at)];
  const auto operand = [&](size_t k) {
    return step.operands[k] < 0 ? 0.0 : values[static_cast<size_t>(step.operands[k])];
  };
  Culprit culprit{.node = step.node, .a = operand(0), .b = operand(1), .inputs = {}};
  std::vector<uint8_t> reached(steps_.size());
  reached[static_cast<size_t>(at)] = 1;
  for (size_t i = static_cast<size_t>(at) + 1; i-- > 0;) {
    if (reached[i] == 0) continue;
    for (const int from : steps_[i].operands) {
      if (from >= 0) reached[static_cast<size_t>(from)] = 1;
    }
  }
  for (const Input& input : inputs_) {
    if (reached[static_cast<size_t>(input.step)] != 0) culprit.inputs.push_back(input.variable);
  }
  return culprit;
}

}  // namespace foreplan

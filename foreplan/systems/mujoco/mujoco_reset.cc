#include "foreplan/systems/mujoco/mujoco_reset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_components.h"

namespace foreplan {
namespace {

using Kind = ResetDraw::Kind;

struct Distribution {
  std::string name;
  Kind kind;
  size_t numbers;
};

const std::array<Distribution, 3> kDistributions{
    {{"normal", Kind::kNormal, 2}, {"uniform", Kind::kUniform, 2}, {"ring", Kind::kRing, 6}}};

const Distribution& FindDistribution(const std::string& where, const std::string& name) {
  std::vector<std::string> known;
  for (const Distribution& distribution : kDistributions) {
    if (distribution.name == name) return distribution;
    known.push_back(distribution.name);
  }
  throw UnknownName(where, "distribution", name, known);
}

// The share of its rectangle that a ring covers must be large enough to hit it by chance.
void CheckNumbers(const TextScanner& scanner, const ResetDraw& draw) {
  const auto& n = draw.numbers;
  if (draw.kind == Kind::kNormal && !(n[1] >= 0)) throw scanner.Error("a sigma of at least 0");
  if (draw.kind == Kind::kUniform && !(n[0] <= n[1])) throw scanner.Error("LOW <= HIGH");
  if (draw.kind != Kind::kRing) return;
  constexpr int kCells = 100;  // per axis
  int inside = 0;
  for (int i = 0; i < kCells * kCells; ++i) {
    const double x = n[0] + (n[1] - n[0]) * (i % kCells + 0.5) / kCells;
    const double y = n[2] + (n[3] - n[2]) * (i / kCells + 0.5) / kCells;  // NOLINT: whole rows
    const double r = std::hypot(x, y);
    inside += n[4] < r && r < n[5] ? 1 : 0;
  }
  if (!(n[0] < n[1] && n[2] < n[3] && inside >= kCells)) {
    throw scanner.Error("a ring that covers at least 1 % of its rectangle");
  }
}

ResetDraw ParseDraw(const std::string& where, const std::string& text) {
  TextScanner scanner(where, text);
  ResetDraw draw;
  draw.places = scanner.Name("qpos, qvel, act or the name of one of their numbers");
  draw.range = scanner.Range();
  scanner.Expect('=');
  if (scanner.AtNumber()) {
    draw.numbers[0] = scanner.Number<double>("a number");
  } else {
    const Distribution& distribution =
        FindDistribution(where, scanner.Name("a number or a distribution"));
    draw.kind = distribution.kind;
    for (size_t i = 0; i < distribution.numbers; ++i) {
      scanner.Expect(i == 0 ? '(' : ',');
      draw.numbers[i] = scanner.Number<double>("a number");
    }
    scanner.Expect(')');
  }
  scanner.ExpectEnd();
  CheckNumbers(scanner, draw);
  return draw;
}

/// What can be drawn.
struct DrawnArray {
  std::string name;
  mjtNum* mjData::*numbers;
  std::vector<Component> components;
};

std::vector<DrawnArray> DrawnArrays(const mjModel& model) {
  StateComponents state = ComponentsOfState(model);
  return {{"qpos", &mjData::qpos, std::move(state.positions)},
          {"qvel", &mjData::qvel, std::move(state.velocities)},
          {"act", &mjData::act, std::move(state.activations)}};
}

/// Index of the keyframe with that name, or else of that number.
int FindKeyframe(const std::string& where, const mjModel& model, const std::string& keyframe) {
  const int named = mj_name2id(&model, mjOBJ_KEY, keyframe.c_str());
  if (named >= 0) return named;
  std::vector<std::string> known;
  for (int i = 0; i < model.nkey; ++i) {
    if (keyframe == std::to_string(i)) return i;
    known.push_back(MujocoName(model, mjOBJ_KEY, i, ""));
  }
  if (known.empty()) {
    throw InputError(
        fmt::format("{}: found '{}', expected none: the model has no keyframes", where, keyframe));
  }
  throw UnknownName(where, "keyframe", keyframe, known);
}

}  // namespace

void MujocoResetOptions::Visit(OptionsVisitor& visitor) {
  ResetOptions::Visit(visitor);
  visitor.Field("keyframe", keyframe, "of the model, by name or number; empty: its rest position");
  visitor.Field("draw", draw, "what is drawn otherwise, e.g. \"hinge = normal(0, 0.1)\"");
}

std::vector<ResetDraw> ParseResetDraws(const std::string& where,
                                       std::span<const std::string> texts) {
  std::vector<ResetDraw> draws;
  draws.reserve(texts.size());
  for (const std::string& text : texts) draws.push_back(ParseDraw(where, text));
  return draws;
}

MujocoReset::MujocoReset(const std::string& where, const mjModel& model,
                         const MujocoResetOptions& options)
    : noise_(options) {
  if (!options.keyframe.empty()) {
    keyframe_ = FindKeyframe(where + ".keyframe", model, options.keyframe);
  }
  for (const ResetDraw& draw : ParseResetDraws(where + ".draw", options.draw)) {
    rules_.push_back(RuleOf(where + ".draw", model, draw));
  }
}

MujocoReset::Rule MujocoReset::RuleOf(const std::string& where, const mjModel& model,
                                      const ResetDraw& draw) {
  const std::vector<DrawnArray> arrays = DrawnArrays(model);
  for (const DrawnArray& array : arrays) {
    const auto& all = array.components;
    const bool is_array = draw.places == array.name;
    const auto named = std::ranges::find(all, draw.places, &Component::name);
    if (!is_array && named == all.end()) continue;
    // A range counts within the array, or within the one number that has the name.
    const int size = is_array ? static_cast<int>(all.size()) : 1;
    const int offset = is_array ? 0 : static_cast<int>(named - all.begin());
    const int first = draw.range.first;
    const int last = draw.range.last < 0 ? size : draw.range.last;
    if (first >= last || last > size) {
      throw InputError(fmt::format("{}: found '{}[{}:{}]', expected a range within 0 ... {}", where,
                                   draw.places, first, last, size));
    }
    if (draw.kind == Kind::kRing && last - first != 2) {
      throw InputError(fmt::format("{}: found a ring for {} numbers of {}, expected 2", where,
                                   last - first, draw.places));
    }
    return {draw, array.numbers, offset + first, offset + last};
  }
  std::vector<std::string> known;
  for (const DrawnArray& array : arrays) known.push_back(array.name);
  for (const DrawnArray& array : arrays) {
    for (const Component& component : array.components) known.push_back(component.name);
  }
  throw UnknownName(where, "position, velocity or activation", draw.places, known);
}

void MujocoReset::Rest(const mjModel& model, mjData& data) const {
  if (keyframe_ < 0) {
    mj_resetData(&model, &data);
  } else {
    mj_resetDataKeyframe(&model, &data, keyframe_);
  }
}

void MujocoReset::Draw(const mjModel& model, Random& random, mjData& data) const {
  Rest(model, data);
  for (int i = 0; i < model.nq; ++i) data.qpos[i] += noise_.Draw(noise_.position, random);
  for (int i = 0; i < model.nv; ++i) data.qvel[i] += noise_.Draw(noise_.velocity, random);
  for (const Rule& rule : rules_) {
    mjtNum* values = data.*rule.array;
    const auto& n = rule.draw.numbers;
    if (rule.draw.kind == Kind::kRing) {
      double r = -1;
      while (!(n[4] < r && r < n[5])) {
        values[rule.first] = random.Uniform(n[0], n[1]);
        values[rule.first + 1] = random.Uniform(n[2], n[3]);
        r = std::hypot(values[rule.first], values[rule.first + 1]);
      }
      continue;
    }
    for (int i = rule.first; i < rule.last; ++i) {
      values[i] = rule.draw.kind == Kind::kNormal    ? n[0] + n[1] * random.Normal()
                  : rule.draw.kind == Kind::kUniform ? random.Uniform(n[0], n[1])
                                                     : n[0];
    }
  }
  mj_normalizeQuat(&model, data.qpos);
}

}  // namespace foreplan

#include "foreplan/systems/mujoco_reset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco_observation.h"

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
  draw.places = scanner.Name("qpos, qvel or the name of a position or velocity");
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

// Place of `name` among the components, or -1.
int PlaceOf(const std::vector<Component>& components, const std::string& name) {
  const auto found = std::find_if(components.begin(), components.end(),
                                  [&](const Component& c) { return c.name == name; });
  return found == components.end() ? -1 : static_cast<int>(found - components.begin());
}

}  // namespace

void MujocoResetOptions::Visit(OptionsVisitor& visitor) {
  ResetOptions::Visit(visitor);
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
  const JointComponents joints = ComponentsOfJoints(model);
  for (const ResetDraw& draw : ParseResetDraws(where, options.draw)) {
    Rule rule{.draw = draw, .first = draw.range.first, .last = draw.range.last};
    const int position = PlaceOf(joints.positions, draw.places);
    const int velocity = PlaceOf(joints.velocities, draw.places);
    rule.velocity = draw.places == "qvel" || velocity >= 0;
    const auto size = static_cast<int>(rule.velocity ? model.nv : model.nq);
    if (position >= 0 || velocity >= 0) {
      rule.first = std::max(position, velocity);
      rule.last = rule.first + 1;
    } else if (draw.places != "qpos" && draw.places != "qvel") {
      std::vector<std::string> known{"qpos", "qvel"};
      for (const auto* components : {&joints.positions, &joints.velocities}) {
        for (const Component& component : *components) known.push_back(component.name);
      }
      throw UnknownName(where, "position or velocity", draw.places, known);
    }
    if (rule.last < 0) rule.last = size;
    if (rule.first >= rule.last || rule.last > size) {
      throw InputError(fmt::format("{}: found '{}[{}:{}]', expected a range within 0 ... {}", where,
                                   draw.places, rule.first, rule.last, size));
    }
    if (draw.kind == Kind::kRing && rule.last - rule.first != 2) {
      throw InputError(fmt::format("{}: found a ring for {} numbers of {}, expected 2", where,
                                   rule.last - rule.first, draw.places));
    }
    rules_.push_back(std::move(rule));
  }
}

void MujocoReset::Draw(const mjModel& model, Random& random, mjData& data) const {
  for (int i = 0; i < model.nq; ++i) {
    data.qpos[i] = model.qpos0[i] + noise_.Draw(noise_.position, random);
  }
  for (int i = 0; i < model.nv; ++i) data.qvel[i] = noise_.Draw(noise_.velocity, random);
  for (const Rule& rule : rules_) {
    mjtNum* values = rule.velocity ? data.qvel : data.qpos;
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

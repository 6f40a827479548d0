#include "foreplan/systems/mujoco/mujoco_reset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/csv_table.h"
#include "foreplan/systems/mujoco/mujoco_components.h"
#include "foreplan/systems/name_pattern.h"

namespace foreplan {
namespace {

using Kind = ResetDraw::Kind;

struct Distribution {
  std::string name;
  Kind kind;
  size_t numbers;
};

const std::array<Distribution, 4> kDistributions{{{"normal", Kind::kNormal, 2},
                                                  {"uniform", Kind::kUniform, 2},
                                                  {"ring", Kind::kRing, 6},
                                                  {"polar", Kind::kPolar, 2}}};

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
  const bool has_bounds = draw.kind == Kind::kUniform || draw.kind == Kind::kPolar;
  if (has_bounds && !(n[0] <= n[1])) throw scanner.Error("LOW <= HIGH");
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

/// A ring is of two numbers.
void CheckPoint(const std::string& where, const ResetDraw& draw, int numbers) {
  const bool is_point = draw.kind == Kind::kRing || draw.kind == Kind::kPolar;
  if (!is_point || numbers == 2) return;
  throw InputError(fmt::format("{}: found a {} for {} numbers of {}, expected 2", where,
                               draw.kind == Kind::kRing ? "ring" : "polar", numbers, draw.places));
}

ResetDraw ParseDraw(const std::string& where, const std::string& text) {
  TextScanner scanner(where, text);
  ResetDraw draw;
  draw.places = scanner.Name("qpos, qvel, act or the name of one of their numbers");
  if (scanner.Take('(')) {
    draw.object = scanner.Name("an object of the model");
    scanner.Expect(')');
  }
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

/// A joint may be called "act"; a range says that the array is meant.
void CheckOneMeaning(const std::string& where, const std::vector<DrawnArray>& arrays,
                     const ResetDraw& draw) {
  const auto of_all = std::ranges::find(arrays, draw.places, &DrawnArray::name);
  if (of_all == arrays.end() || draw.range.first > 0 || draw.range.last >= 0) return;
  for (const DrawnArray& array : arrays) {
    const auto named = std::ranges::find(array.components, draw.places, &Component::name);
    if (named == array.components.end()) continue;
    throw InputError(fmt::format(
        "{}: found '{}', an array and the name of one number, expected {}[0:{}] or {}[{}]", where,
        draw.places, draw.places, of_all->components.size(), array.name,
        named - array.components.begin()));
  }
}

std::string Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

/// Of the keyframes that a name, a number or a pattern says.
std::vector<int> KeyframesOf(const std::string& where, const std::vector<std::string>& names,
                             const std::string& text) {
  std::vector<int> found;
  for (int i = 0; i < std::ssize(names); ++i) {
    if (names[static_cast<size_t>(i)] == text || std::to_string(i) == text) found.push_back(i);
  }
  if (found.size() > 1) {
    const int named = names[static_cast<size_t>(found[0])] == text ? found[0] : found[1];
    throw InputError(
        fmt::format("{0}: found '{1}', the name of keyframe {2} and the number of keyframe {1}, "
                    "expected '{2}' or '{3}'",
                    where, text, named, names[std::stoul(text)]));
  }
  if (found.empty() && text.find('*') != std::string::npos) {
    for (int i = 0; i < std::ssize(names); ++i) {
      if (MatchesPattern(text, names[static_cast<size_t>(i)])) found.push_back(i);
    }
  }
  if (found.empty()) throw UnknownName(where, "keyframe", text, names);
  return found;
}

std::vector<int> FindKeyframes(const std::string& where, const mjModel& model,
                               const std::string& text) {
  if (text.empty()) return {};
  std::vector<std::string> names;
  for (int i = 0; i < model.nkey; ++i) names.push_back(MujocoName(model, mjOBJ_KEY, i, ""));
  if (names.empty()) {
    throw InputError(
        fmt::format("{}: found '{}', expected none: the model has no keyframes", where, text));
  }
  if (std::ranges::find(names, text) != names.end()) return KeyframesOf(where, names, text);
  std::vector<int> all;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::vector<int> found =
        KeyframesOf(where, names, Trimmed(std::string_view(text).substr(at, end - at)));
    all.insert(all.end(), found.begin(), found.end());
    at = end + 1;
  }
  return all;
}

}  // namespace

void MujocoResetOptions::Visit(OptionsVisitor& visitor) {
  ResetOptions::Visit(visitor);
  visitor.Field(
      "keyframe", keyframe,
      "of the model, by name or number, of several one is drawn; empty: its rest position");
  visitor.Field("states", states, "CSV file of states, of which one is drawn");
  visitor.Field("draw", draw, "what is drawn otherwise, e.g. \"hinge = normal(0, 0.1)\"");
  visitor.Field("settle_steps", settle_steps, {0, 1e6},
                "simulator steps before the episode begins");
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
    : noise_(options),
      settle_steps_(options.settle_steps),
      keyframes_(FindKeyframes(where + ".keyframe", model, options.keyframe)) {
  CheckMocapBodies(where + ".keyframe", model);
  if (!options.states.empty()) states_ = ReadStates(model, options.states);
  for (const ResetDraw& draw : ParseResetDraws(where + ".draw", options.draw)) {
    rules_.push_back(draw.object.empty() ? RuleOf(where + ".draw", model, draw)
                                         : FieldRule(where + ".draw", model, draw));
  }
}

MujocoReset::Rule MujocoReset::RuleOf(const std::string& where, const mjModel& model,
                                      const ResetDraw& draw) {
  const std::vector<DrawnArray> arrays = DrawnArrays(model);
  CheckOneMeaning(where, arrays, draw);
  const bool names_array =
      std::ranges::find(arrays, draw.places, &DrawnArray::name) != arrays.end();
  for (const DrawnArray& array : arrays) {
    const auto& all = array.components;
    const bool is_array = draw.places == array.name;
    const auto named = std::ranges::find(all, draw.places, &Component::name);
    if (names_array ? !is_array : named == all.end()) continue;
    // A range counts within the array, or within the one number that has the name.
    const int size = is_array ? static_cast<int>(all.size()) : 1;
    const int offset = is_array ? 0 : static_cast<int>(named - all.begin());
    const int first = draw.range.first;
    const int last = draw.range.last < 0 ? size : draw.range.last;
    if (size == 0) {
      throw InputError(
          fmt::format("{}: found '{}', expected another: the model has none", where, draw.places));
    }
    if (first >= last || last > size) {
      throw InputError(fmt::format("{}: found '{}{}', expected a range within 0 ... {}", where,
                                   draw.places, draw.range.text, size));
    }
    CheckPoint(where, draw, last - first);
    return {draw, array.numbers, offset + first, offset + last};
  }
  std::vector<std::string> known;
  for (const DrawnArray& array : arrays) known.push_back(array.name);
  for (const DrawnArray& array : arrays) {
    for (const Component& component : array.components) known.push_back(component.name);
  }
  throw UnknownName(where, "position, velocity or activation", draw.places, known);
}

MujocoReset::Rule MujocoReset::FieldRule(const std::string& where, const mjModel& model,
                                         const ResetDraw& draw) {
  // Without a range it is the number that the field is called by alone.
  const std::string field = fmt::format("{}({})", draw.places, TextScanner::Quoted(draw.object));
  const int entries = MujocoParameter::Entries(draw.places);
  const bool has_range = entries > 0 && (draw.range.first > 0 || draw.range.last >= 0);
  const int last = draw.range.last < 0 ? entries : draw.range.last;
  if (has_range && (draw.range.first >= last || last > entries)) {
    throw InputError(fmt::format("{}: found '{}{}', expected a range within 0 ... {}", where, field,
                                 draw.range.text, entries));
  }
  const int first = static_cast<int>(fields_.size());
  if (!has_range) {
    fields_.emplace_back(where, field, model);
    field_names_.push_back(field);
  }
  for (int i = draw.range.first; has_range && i < last; ++i) {
    field_names_.push_back(fmt::format("{}[{}]", field, i));
    fields_.emplace_back(where, field_names_.back(), model);
  }
  for (auto name = field_names_.begin() + first; name != field_names_.end(); ++name) {
    if (std::find(field_names_.begin(), name, *name) == name) continue;
    throw InputError(fmt::format("{}: found '{}' twice, expected it once", where, *name));
  }
  const int end = static_cast<int>(fields_.size());
  CheckPoint(where, draw, end - first);
  return {draw, nullptr, first, end};
}

MujocoReset::States MujocoReset::ReadStates(const mjModel& model, const std::string& file) {
  const CsvTable table{std::filesystem::path(file)};
  const std::vector<DrawnArray> arrays = DrawnArrays(model);
  std::vector<std::string> known;
  for (const DrawnArray& array : arrays) {
    for (const Component& component : array.components) known.push_back(component.name);
  }
  States states;
  for (const std::string& column : table.columns()) {
    if (std::ranges::count(table.columns(), column) > 1) {
      throw InputError(
          fmt::format("{}: found the column '{}' twice, expected it once", file, column));
    }
    const size_t places = states.places.size();
    for (const DrawnArray& array : arrays) {
      const auto found = std::ranges::find(array.components, column, &Component::name);
      if (found == array.components.end()) continue;
      states.places.push_back({array.numbers, static_cast<int>(found - array.components.begin())});
    }
    if (states.places.size() == places) {
      throw UnknownName(file, "position, velocity or activation", column, known);
    }
  }
  table.ReadRows([&](int line, std::span<const std::string_view> cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      states.values.push_back(table.Number(cells[i], i, line));
    }
  });
  if (states.values.empty()) {
    throw InputError(fmt::format("{}: found no rows, expected one state at least", file));
  }
  return states;
}

void MujocoReset::CheckMocapBodies(const std::string& where, const mjModel& model) const {
  for (const int key : keyframes_) {
    const auto differs = [&](const mjtNum* places, int width) {
      const int size = width * static_cast<int>(model.nmocap);
      return !std::equal(places + size * key, places + size * (key + 1),
                         places + size * keyframes_.front());
    };
    if (!differs(model.key_mpos, 3) && !differs(model.key_mquat, 4)) continue;
    throw InputError(fmt::format(
        "{}: found keyframes {} and {} with mocap bodies in other places, expected the same: no "
        "state holds them",
        where, keyframes_.front(), key));
  }
}

void MujocoReset::Rest(const mjModel& model, mjData& data) const {
  if (keyframes_.empty()) {
    mj_resetData(&model, &data);
  } else {
    mj_resetDataKeyframe(&model, &data, keyframes_.front());
  }
}

std::optional<MujocoFault> MujocoReset::Settle(const mjModel& model, mjData& data) const {
  const mjtNum time = data.time;
  for (int step = 0; step < settle_steps_; ++step) {
    mj_step(&model, &data);
    if (const auto fault = FindMujocoFault(model, data)) return fault;
  }
  data.time = time;
  return std::nullopt;
}

void MujocoReset::Draw(const mjModel& model, Random& random, mjData& data,
                       std::span<double> fields) const {
  Rest(model, data);
  if (keyframes_.size() > 1) {
    mj_resetDataKeyframe(&model, &data, keyframes_[random.Below(keyframes_.size())]);
  }
  if (const size_t columns = states_.places.size(); columns > 0) {
    const double* row = &states_.values[random.Below(states_.values.size() / columns) * columns];
    for (size_t i = 0; i < columns; ++i)
      (data.*states_.places[i].array)[states_.places[i].index] = row[i];
  }
  for (int i = 0; i < model.nq; ++i) data.qpos[i] += noise_.Draw(noise_.position, random);
  for (int i = 0; i < model.nv; ++i) data.qvel[i] += noise_.Draw(noise_.velocity, random);
  for (const Rule& rule : rules_) {
    double* values = rule.array == nullptr ? fields.data() : data.*rule.array;
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
    if (rule.draw.kind == Kind::kPolar) {
      const double angle = random.Uniform(0, 2 * std::numbers::pi);
      const double r = random.Uniform(n[0], n[1]);
      values[rule.first] = r * std::cos(angle);
      values[rule.first + 1] = r * std::sin(angle);
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

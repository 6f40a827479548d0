#include "foreplan/systems/mujoco/mujoco_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/expressions/text_scanner.h"
#include "foreplan/systems/name_pattern.h"

namespace foreplan {

void MujocoOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("model", model, "MJCF file");
  visitor.Field("frame_skip", frame_skip, {1, 1000}, "simulator steps per control period");
  visitor.Field(
      "observation", observation,
      "expressions, e.g. \"qpos[1:]\", \"xpos(tip)\", \"tilt [rad] = qpos[0] + qpos[1]\"");
  static const std::array<std::pair<std::string, ObservedAt>, 2> kMoments{
      {{"new_state", ObservedAt::kNewState}, {"last_evaluation", ObservedAt::kLastEvaluation}}};
  visitor.Choice("observe_at", observe_at,
                 std::span<const std::pair<std::string, ObservedAt>>(kMoments),
                 "new_state, or last_evaluation: as MuJoCo leaves bodies, sensors and forces");
  visitor.Field("body_offset", body_offset, "\"BODY = (dx, dy, dz)\", added to its place [m]");
  visitor.Field("control_range", control_range,
                "\"ACTUATOR = (LOW, HIGH)\", in the place of the model's ctrlrange");
  visitor.Field("keep_awake", keep_awake, "simulate awake what the model lets fall asleep");
}

namespace {

std::string OffsetKey(const std::string& file) { return file + ": system.body_offset"; }
std::string RangeKey(const std::string& file) { return file + ": system.control_range"; }

/// "NAME = (number, ...)"
template <size_t kCount>
struct NamedNumbers {
  std::string name;
  std::array<double, kCount> numbers{};
};

template <size_t kCount>
NamedNumbers<kCount> ParseNumbers(TextScanner& scanner, std::string name) {
  NamedNumbers<kCount> parsed{std::move(name), {}};
  scanner.Expect('=');
  for (size_t i = 0; i < kCount; ++i) {
    scanner.Expect(i == 0 ? '(' : ',');
    parsed.numbers[i] = scanner.Number<double>("a number");
  }
  scanner.Expect(')');
  scanner.ExpectEnd();
  return parsed;
}

NamedNumbers<3> ParseBodyOffset(const std::string& where, const std::string& text) {
  TextScanner scanner(where, text);
  return ParseNumbers<3>(scanner, scanner.Name("a body"));
}

NamedNumbers<2> ParseControlRange(const std::string& where, const std::string& text) {
  TextScanner scanner(where, text);
  auto parsed = ParseNumbers<2>(scanner, scanner.Pattern("an actuator"));
  if (!(parsed.numbers[0] < parsed.numbers[1])) throw scanner.Error("LOW < HIGH");
  return parsed;
}

void MoveBodies(const MujocoOptions& options, mjModel& model) {
  const std::string where = OffsetKey(options.model);
  std::vector<std::string> bodies;  // without the world
  for (int i = 1; i < model.nbody; ++i) bodies.push_back(MujocoName(model, mjOBJ_BODY, i, "body"));
  for (const std::string& text : options.body_offset) {
    const auto [name, offset] = ParseBodyOffset(where, text);
    const auto found = std::ranges::find(bodies, name);
    if (found == bodies.end()) throw UnknownName(where, "body", name, bodies);
    const auto body = static_cast<size_t>(found - bodies.begin()) + 1;
    for (size_t i = 0; i < 3; ++i) model.body_pos[3 * body + i] += offset[i];
  }
  if (!options.body_offset.empty()) SetMujocoConstants(model);
}

void BoundControls(const MujocoOptions& options, mjModel& model) {
  const std::string where = RangeKey(options.model);
  std::vector<std::string> actuators;
  for (int i = 0; i < model.nu; ++i)
    actuators.push_back(MujocoName(model, mjOBJ_ACTUATOR, i, "actuator"));
  for (const std::string& text : options.control_range) {
    const auto [pattern, range] = ParseControlRange(where, text);
    bool any = false;
    for (size_t i = 0; i < actuators.size(); ++i) {
      if (!MatchesPattern(pattern, actuators[i])) continue;
      any = true;
      model.actuator_ctrllimited[i] = 1;
      model.actuator_ctrlrange[2 * i] = range[0];
      model.actuator_ctrlrange[2 * i + 1] = range[1];
    }
    if (!any) throw UnknownName(where, "actuator", pattern, actuators);
  }
}

}  // namespace

void SetMujocoConstants(mjModel& model) {
  const MujocoGuard guard;
  mj_setConst(&model, MakeMujocoData(model).get());
}

MujocoModel CompiledModel(const MujocoOptions& options) {
  const MujocoModel compiled = LoadMujocoModel(options.model);
  if (MaySleep(*compiled) && !options.keep_awake) {
    throw InputError(fmt::format(
        "{}: found <flag sleep=\"enable\"/>, expected none, as no state can hold who sleeps; "
        "system.keep_awake = true in the task simulates all bodies awake",
        options.model));
  }
  std::shared_ptr<mjModel> model = CopyMujocoModel(*compiled);
  KeepAwake(*model);
  MoveBodies(options, *model);
  BoundControls(options, *model);
  return model;
}

void CheckMujocoTexts(const MujocoOptions& options, const std::string& file) {
  for (const std::string& text : options.body_offset) ParseBodyOffset(OffsetKey(file), text);
  for (const std::string& text : options.control_range) ParseControlRange(RangeKey(file), text);
}

}  // namespace foreplan

#include "foreplan/systems/mujoco/mujoco_draft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/mujoco/mujoco_components.h"

namespace foreplan {
namespace {

constexpr double kPeriod =
    0.04;  // that is aimed at [s]: fewer decisions are learned and planned faster
constexpr double kEpisode = 5;  // [s]
constexpr double kHorizon = 1;  // [s]

/// What expressions and parts of observations call it.
std::string Word(const std::string& name) {
  const bool is_plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  return is_plain ? name : fmt::format("'{}'", name);
}

std::string RangeText(const mjtNum* range) {
  return fmt::format("{:.6g} ... {:.6g}", range[0], range[1]);
}

template <typename Size>
std::vector<std::string> NamesOf(const mjModel& model, mjtObj type, Size count,
                                 const std::string& prefix, int first = 0) {
  std::vector<std::string> names;
  for (int i = first; i < static_cast<int>(count); ++i) {
    names.push_back(MujocoName(model, type, i, prefix));
  }
  return names;
}

/// A comment of a name and its entries, in lines of a page's width.
std::string Listed(std::string_view title, const std::vector<std::string>& entries) {
  constexpr size_t kWidth = 110;
  if (entries.empty()) return "";
  std::string text;
  std::string line = fmt::format("#   {:<11}", title);
  bool is_first = true;
  for (const std::string& entry : entries) {
    if (!is_first && line.size() + entry.size() + 2 > kWidth) {
      text += line + ",\n";
      line = fmt::format("#   {:<11}", "");
      is_first = true;
    }
    line += (is_first ? "" : ", ") + entry;
    is_first = false;
  }
  return text + line + "\n";
}

std::vector<std::string> Joints(const mjModel& model) {
  std::vector<std::string> joints;
  for (int joint = 0; joint < model.njnt; ++joint) {
    std::string text = MujocoName(model, mjOBJ_JOINT, joint, "joint");
    switch (model.jnt_type[joint]) {
      case mjJNT_FREE:
        text += " (free)";
        break;
      case mjJNT_BALL:
        text += " (ball)";
        break;
      case mjJNT_SLIDE:
        text += " [m]";
        break;
      default:
        text += " [rad]";
    }
    if (model.jnt_limited[joint] != 0 && model.jnt_type[joint] >= mjJNT_SLIDE) {
      text += " " + RangeText(&model.jnt_range[2 * joint]);
    }
    joints.push_back(std::move(text));
  }
  return joints;
}

/// Hinges that turn without end: models see their sine and cosine.
std::vector<std::string> EndlessHinges(const mjModel& model) {
  std::vector<std::string> hinges;
  for (int joint = 0; joint < model.njnt; ++joint) {
    if (model.jnt_type[joint] != mjJNT_HINGE || model.jnt_limited[joint] != 0) continue;
    hinges.push_back(MujocoName(model, mjOBJ_JOINT, joint, "joint"));
  }
  return hinges;
}

/// Bounds of an actuator that has none, and where they are from.
struct MadeUpRange {
  double low = -1;
  double high = 1;
  std::string_view from = "a guess";
};

MadeUpRange MakeUpRange(const mjModel& model, int actuator) {
  const bool is_servo = model.actuator_biastype[actuator] == mjBIAS_AFFINE;
  const int joint = model.actuator_trnid[2 * actuator];
  if (is_servo && model.actuator_trntype[actuator] == mjTRN_JOINT &&
      model.jnt_type[joint] >= mjJNT_SLIDE && model.jnt_limited[joint] != 0) {
    return {model.jnt_range[2 * joint], model.jnt_range[2 * joint + 1], "the joint's range"};
  }
  const double gain = model.actuator_gainprm[mjNGAIN * actuator];
  if (!is_servo && model.actuator_forcelimited[actuator] != 0 &&
      model.actuator_gaintype[actuator] == mjGAIN_FIXED && gain > 0) {
    return {model.actuator_forcerange[2 * actuator] / gain,
            model.actuator_forcerange[2 * actuator + 1] / gain, "the largest force"};
  }
  return {};
}

/// The actuators with their bounds, and what system.control_range must say of those without.
struct Actuators {
  std::vector<std::string> names;   // with bounds
  std::vector<std::string> ranges;  // "push = (-1, 1)"
  std::vector<std::string> from;    // as many
};

Actuators ActuatorsOf(const mjModel& model) {
  Actuators actuators;
  for (int i = 0; i < model.nu; ++i) {
    const std::string name = MujocoName(model, mjOBJ_ACTUATOR, i, "actuator");
    const bool is_bounded = model.actuator_ctrllimited[i] != 0;
    actuators.names.push_back(is_bounded ? name + " " + RangeText(&model.actuator_ctrlrange[2 * i])
                                         : name + " (no ctrlrange)");
    if (is_bounded) continue;
    const MadeUpRange range = MakeUpRange(model, i);
    actuators.ranges.push_back(
        Quoted(fmt::format("{} = ({:.6g}, {:.6g})", Word(name), range.low, range.high)));
    actuators.from.push_back(fmt::format("{}: {}", name, range.from));
  }
  return actuators;
}

std::string PartsText(const mjModel& model, const Actuators& actuators) {
  return "# The model's parts, by the names that the lines below may use:\n" +
         Listed("joints", Joints(model)) + Listed("actuators", actuators.names) +
         Listed("sensors", NamesOf(model, mjOBJ_SENSOR, model.nsensor, "sensor")) +
         Listed("sites", NamesOf(model, mjOBJ_SITE, model.nsite, "site")) +
         Listed("bodies", NamesOf(model, mjOBJ_BODY, model.nbody, "body", 1)) +
         Listed("keyframes", NamesOf(model, mjOBJ_KEY, model.nkey, ""));
}

/// Examples of what else may stand there, of the model's own names.
std::string RewardExamples(const mjModel& model) {
  const std::string first = ComponentsOfState(model).positions.front().name;
  // next. in case that an actuator is called so, too.
  const std::string position =
      mj_name2id(&model, mjOBJ_ACTUATOR, first.c_str()) < 0 ? Word(first) : "next." + Word(first);
  std::string text =
      fmt::format("# reward = \"-square({} - 0.5) - 0.001 * sum(square(u))\"\n", position);
  if (const std::vector<std::string> hinges = EndlessHinges(model); !hinges.empty()) {
    text +=
        fmt::format("# reward = \"cos(next.{}) - 0.001 * sum(square(u))\"\n", Word(hinges.front()));
  }
  if (model.nsite > 0) {
    const std::string site = MujocoName(model, mjOBJ_SITE, 0, "site");
    text += fmt::format(
        "# reward = \"-norm(next.{0} - 0.3, next.{1}, next.{2})\"  # with \"site_xpos({3})\" "
        "observed\n",
        Word(site + "_x"), Word(site + "_y"), Word(site + "_z"), Word(site));
  }
  return text + fmt::format("# termination = \"abs({}) > 10\"\n", position);
}

std::string ObservationText(const mjModel& model) {
  std::vector<std::string> parts = {"\"qpos\"", "\"qvel\""};
  if (model.na > 0) parts.emplace_back("\"act\"");
  std::vector<std::string> further;
  const auto add = [&](std::string_view part, mjtObj type, auto count, const std::string& prefix,
                       int first = 0) {
    for (const std::string& name : NamesOf(model, type, count, prefix, first)) {
      further.push_back(fmt::format("\"{}({})\"", part, Word(name)));
    }
  };
  add("sensor", mjOBJ_SENSOR, model.nsensor, "sensor");
  add("site_xpos", mjOBJ_SITE, model.nsite, "site");
  add("xpos", mjOBJ_BODY, model.nbody, "body", 1);
  return fmt::format("observation = [{}]\n", fmt::join(parts, ", ")) + Listed("also:", further);
}

std::string BoundsText(const mjModel& model, const Actuators& actuators) {
  if (!actuators.ranges.empty()) {
    return fmt::format("control_range = [{}]\n", fmt::join(actuators.ranges, ", ")) +
           Listed("from:", actuators.from);
  }
  return fmt::format("# control_range = [\"{} = ({:.6g}, {:.6g})\"]  # in the place of ctrlrange\n",
                     Word(MujocoName(model, mjOBJ_ACTUATOR, 0, "actuator")),
                     model.actuator_ctrlrange[0], model.actuator_ctrlrange[1]);
}

std::string StartText(const mjModel& model) {
  std::string text = "[system.reset]\n";
  if (model.nkey > 0) {
    const char* name = mj_id2name(&model, mjOBJ_KEY, 0);
    const bool is_named = name != nullptr && *name != '\0';
    text += fmt::format("keyframe = {}{}\n", Quoted(is_named ? name : "0"),
                        model.nkey > 1 ? "  # others are listed above; \"*\" draws one" : "");
  }
  return text +
         "position = 0.01  # standard deviation around that start [m, rad]\n"
         "velocity = 0.01\n" +
         fmt::format("# draw = [\"qpos[0] = uniform(-0.5, 0.5)\"]  # {}\n",
                     ComponentsOfState(model).positions.front().name);
}

}  // namespace

std::string DraftMujocoTask(const std::filesystem::path& file, const std::string& name,
                            const std::string& model_name) {
  const MujocoModel compiled = LoadMujocoModel(file);
  const mjModel& model = *compiled;
  if (model.nu == 0) {
    throw InputError(
        fmt::format("{}: found no actuators, expected something to control: <actuator> <motor "
                    "joint=\"...\" ctrlrange=\"-1 1\"/> </actuator>",
                    file.string()));
  }
  const double timestep = model.opt.timestep;
  const int frame_skip = static_cast<int>(std::clamp(std::round(kPeriod / timestep), 1.0, 1000.0));
  const double dt = frame_skip * timestep;
  const int steps = std::max(1, static_cast<int>(std::round(kEpisode / dt)));
  const Actuators actuators = ActuatorsOf(model);
  const std::string file_name = file.filename().string();

  std::string text = fmt::format(
      "# A task for the model {0}, to be changed; docs/your_task.md explains every line.\n"
      "#   foreplan show {1}.toml                             # names, bounds, first reward, "
      "options\n"
      "#   foreplan eval {1}.toml --controller true_model     # what planning on the simulator "
      "earns\n"
      "#   foreplan run {1}.toml                              # learn a model, and plan with "
      "it\n#\n",
      OnOneLine(file_name), name);
  text += PartsText(model, actuators);
  text += fmt::format("name = {}\nsummary = {}\n", Quoted(name), Quoted("the model " + file_name));
  text +=
      "\n# What a step is worth: of the observation after it and the actions u. So far the less "
      "effort the better;\n# say here what is wanted.\nreward = \"-sum(square(u))\"\n";
  text += RewardExamples(model);
  text += fmt::format("episode_length = {}  # steps, {:.3g} s\n", steps, steps * dt);
  text += fmt::format(
      "\n[system]\ntype = \"mujoco\"\nmodel = {}\nframe_skip = {}  # simulator steps of {:.6g} s "
      "per "
      "action: every {:.6g} s\n",
      Quoted(model_name), frame_skip, timestep, dt);
  text += ObservationText(model) + BoundsText(model, actuators);
  if (MaySleep(model)) text += "keep_awake = true  # no state can hold who sleeps\n";
  text += "\n" + StartText(model);
  if (const std::vector<std::string> hinges = EndlessHinges(model); !hinges.empty()) {
    std::vector<std::string> quoted;
    std::ranges::transform(hinges, std::back_inserter(quoted), Quoted);
    text +=
        fmt::format("\n[encoding]\nsin_cos = [{}]  # turn without end\n", fmt::join(quoted, ", "));
  }
  return text + fmt::format(
                    "\n[planner]\nhorizon_seconds = {:.1f}  # how far plans look ahead: as long as "
                    "doing something worth doing takes\n\n[run]\nepisodes = 15\n",
                    std::max(kHorizon, dt));
}

}  // namespace foreplan

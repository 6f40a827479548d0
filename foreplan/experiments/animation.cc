#include "foreplan/experiments/animation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/component_json.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/experiments/animation_stage.h"
#include "foreplan/models/change_statistics.h"
#include "foreplan/systems/scene.h"

namespace foreplan {
namespace {

using Json = nlohmann::ordered_json;

constexpr float kNanFloat = std::numeric_limits<float>::quiet_NaN();

template <typename T>
std::vector<float> AsFloats(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

/// Of what was kept every so manyth of: the next step of leaving out.
bool LeaveOutMore(const EpisodeRecording& recording, AnimationChoice& choice) {
  const int64_t with_futures =
      recording.plan_count() / recording.futures_every / choice.futures_every;
  const int64_t imagined =
      recording.plan_count() / recording.imagined_every / choice.imagined_every;
  if (choice.ahead == 1 && recording.horizon > 1) {
    choice.ahead = 2;
  } else if (choice.has_futures && recording.futures > 0) {
    if (with_futures > 2) {
      choice.futures_every *= 2;
    } else {
      choice.has_futures = false;
    }
  } else if (choice.has_imagined && !recording.imagined.empty()) {
    if (imagined > 2) {
      choice.imagined_every *= 2;
    } else {
      choice.has_imagined = false;
    }
  } else {
    return false;
  }
  return true;
}

/// "every 4th".
std::string EveryText(int every) {
  return every == 2 ? "every other" : fmt::format("every {}th", every);  // powers of 2
}

std::vector<std::string> LeftOut(const EpisodeRecording& recording, const AnimationChoice& choice) {
  std::vector<std::string> texts;
  const int futures_every = recording.futures_every * choice.futures_every;
  const int imagined_every = recording.imagined_every * choice.imagined_every;
  if (choice.ahead > 1) texts.emplace_back("every other step ahead of what was imagined");
  if (!choice.has_futures && recording.futures > 0) {
    texts.emplace_back("all futures");
  } else if (futures_every > 1 && recording.futures > 0) {
    texts.push_back(fmt::format("futures but those of {} plan", EveryText(futures_every)));
  }
  if (!choice.has_imagined && !recording.imagined.empty()) {
    texts.emplace_back("all that was imagined of plans");
  } else if (imagined_every > 1) {
    texts.push_back(
        fmt::format("what was imagined of plans but {} one", EveryText(imagined_every)));
  }
  return texts;
}

/// What the plan that a step executes had imagined of the observation after it, against what was
/// observed: root mean square over the components that change, each in its scale. NaN: nothing was
/// imagined.
std::vector<float> ModelErrors(const EpisodeRecording& recording) {
  const size_t no = recording.observation.size();
  std::vector<float> errors(static_cast<size_t>(recording.steps()), kNanFloat);
  if (recording.imagined.empty()) return errors;
  // Of the changes in one step; 0 for what is constant but for rounding.
  const Recording steps = AsRecording(recording.task, recording, {});
  const std::vector<double> scale = MeasureChanges(steps.data, {}).deviation;
  for (size_t t = 0; t < errors.size(); ++t) {
    const int plan = recording.plans[t];
    if (plan < 0 || plan % recording.imagined_every != 0) continue;
    const auto ahead =
        static_cast<int64_t>(t) + 1 - recording.first_steps[static_cast<size_t>(plan)];
    if (ahead > recording.horizon) continue;
    const size_t row = static_cast<size_t>(plan / recording.imagined_every) *
                           static_cast<size_t>(recording.horizon + 1) +
                       static_cast<size_t>(ahead);
    double sum = 0;
    int count = 0;
    for (size_t i = 0; i < no; ++i) {
      if (scale[i] == 0) continue;
      const double off =
          (recording.imagined[row * no + i] - recording.observations[(t + 1) * no + i]) / scale[i];
      sum += off * off;
      ++count;
    }
    if (count > 0) errors[t] = static_cast<float>(std::sqrt(sum / count));
  }
  return errors;
}

void AddNumbers(const EpisodeRecording& recording, TensorFile& file) {
  const auto steps = recording.steps();
  const auto nu = std::ssize(recording.action);
  std::vector<float> time(static_cast<size_t>(steps) + 1);
  for (size_t t = 0; t < time.size(); ++t) {
    time[t] = static_cast<float>(static_cast<double>(t) * recording.dt);
  }
  file.tensors["time"] = {{steps + 1}, std::move(time)};
  file.tensors["reward"] = {{steps}, AsFloats(recording.rewards)};
  file.tensors["action"] = {{steps, nu}, AsFloats(recording.actions)};
  file.tensors["observation"] = {{steps + 1, std::ssize(recording.observation)},
                                 AsFloats(recording.observations)};
  file.tensors["model_error"] = {{steps}, ModelErrors(recording)};
  if (recording.plan_count() == 0) return;
  file.tensors["plan"] = {{steps}, recording.plans};
  file.tensors["plan.first_step"] = {{recording.plan_count()}, recording.first_steps};
  file.tensors["plan.expected_return"] = {{recording.plan_count()},
                                          AsFloats(recording.expected_returns)};
}

/// Rows of what is kept of every so manyth plan.
void AddFutureReturns(const EpisodeRecording& recording, const AnimationChoice& choice,
                      TensorFile& file) {
  if (!choice.has_futures || recording.futures == 0) return;
  const auto futures = static_cast<size_t>(recording.futures);
  std::vector<float> returns;
  int64_t kept = 0;
  for (size_t row = 0; row * futures < recording.future_returns.size();
       row += static_cast<size_t>(choice.futures_every), ++kept) {
    const auto begin = recording.future_returns.begin() + static_cast<ptrdiff_t>(row * futures);
    returns.insert(returns.end(), begin, begin + recording.futures);
  }
  file.tensors["future.return"] = {{kept, recording.futures}, std::move(returns)};
}

Json HeaderOf(const EpisodeRecording& recording, const EnvironmentSpec* spec,
              const AnimationChoice& choice) {
  Json header = {{"program", recording.program},
                 {"task", recording.task},
                 {"controller", recording.controller},
                 {"seed", recording.seed},
                 {"episode", recording.episode},
                 {"episode_return", recording.episode_return},
                 {"end", recording.end},
                 {"note", recording.note},
                 {"dt", recording.dt},
                 {"steps", recording.steps()},
                 {"observation", ComponentsJson(recording.observation)},
                 {"action", ComponentsJson(recording.action)}};
  if (spec != nullptr) {
    header["action_low"] = spec->action_low;
    header["action_high"] = spec->action_high;
  }
  header["horizon"] = recording.horizon;
  header["imagined_every"] = recording.imagined_every * choice.imagined_every;
  header["futures_every"] = recording.futures_every * choice.futures_every;
  return header;
}

/// What does not depend on a choice.
TensorFile KeptInAnyCase(const EpisodeRecording& recording, AnimationStage* stage) {
  TensorFile file;
  AddNumbers(recording, file);
  if (stage == nullptr) return file;
  stage->AddFrames(file);
  stage->AddContacts(file);
  stage->AddMeshes(file);
  stage->AddDistribution(file);
  return file;
}

void DescribeStage(AnimationStage& stage, Json& header) {
  header["position_step"] = stage.position_step();
  header["trace_step"] = stage.trace_step();
  header["scene"] = stage.json();
  for (const ScenePart& part : stage.scene().traced) {
    header["traces"].push_back({{"name", part.name}});
  }
}

/// `file`: KeptInAnyCase.
std::string StreamOf(const EpisodeRecording& recording, const EnvironmentSpec* spec,
                     AnimationStage* stage, const std::string& reason,
                     const AnimationChoice& choice, TensorFile file) {
  Json header = HeaderOf(recording, spec, choice);
  header["scene"] = nullptr;
  header["traces"] = Json::array();
  if (stage != nullptr) {
    DescribeStage(*stage, header);
    if (recording.plan_count() > 0) header["horizon_steps"] = stage->StepsAhead(choice.ahead);
    stage->AddImagined(choice, file);
    AddFutureReturns(recording, choice, file);
  }
  header["left_out"] = LeftOut(recording, choice);
  header["nothing_to_draw"] = reason;
  file.metadata = {{"format", "foreplan.animation"},
                   {"version", "1"},
                   {"animation", header.dump(-1, ' ', false, Json::error_handler_t::replace)}};
  return GzipOf(SerializeTensors(file, "animation"));
}

/// As base64 [10^6 bytes].
double MbInAPage(const std::string& bytes) {
  return static_cast<double>(bytes.size()) * 4 / 3 / 1e6;
}

}  // namespace

Animation MakeAnimation(const EpisodeRecording& recording, const System* system,
                        const std::string& reason, double most_mb) {
  std::unique_ptr<System> own;
  std::unique_ptr<AnimationStage> stage;
  std::string why = reason;
  if (system != nullptr && !recording.state.empty()) {
    own = system->Clone();
    own->SetState(std::span(recording.states).first(recording.state.size()));
    if (std::unique_ptr<Picture> picture = own->MakePicture()) {
      stage = std::make_unique<AnimationStage>(recording, *own, std::move(picture));
    } else {
      why = "its system has no picture";
    }
  }
  const EnvironmentSpec* spec = system == nullptr ? nullptr : &system->spec();
  AnimationChoice choice;
  while (stage != nullptr && stage->IsSlow(choice) && LeaveOutMore(recording, choice)) {
  }
  const TensorFile kept = KeptInAnyCase(recording, stage.get());
  for (;;) {
    std::string bytes = StreamOf(recording, spec, stage.get(), why, choice, kept);
    if (MbInAPage(bytes) <= most_mb) {
      return {std::move(bytes), LeftOut(recording, choice)};
    }
    if (stage == nullptr || !LeaveOutMore(recording, choice)) {
      throw InputError(fmt::format(
          "animation of episode {} of {}: found {:.1f} MB without anything imagined, expected at "
          "most {:g} MB (--mb)",
          recording.episode, recording.task, MbInAPage(bytes), most_mb));
    }
  }
}

Animation MakeAnimation(const EpisodeRecording& recording, const Task& task, double most_mb) {
  if (recording.state.empty()) {
    return MakeAnimation(recording, nullptr, "its environment shows no state", most_mb);
  }
  std::unique_ptr<System> system;
  try {
    system = task.MakeSystem(std::min(recording.condition, task.condition_count() - 1));
  } catch (const InputError& error) {
    return MakeAnimation(recording, nullptr, error.what(), most_mb);
  }
  const auto names_of = [](const std::vector<Component>& components) {
    std::vector<std::string> names;
    for (const Component& component : components) names.push_back(component.name);
    return names;
  };
  if (names_of(system->spec().state) != names_of(recording.state) ||
      names_of(system->spec().observation) != names_of(recording.observation)) {
    throw InputError(fmt::format(
        "animation: found a recording of {} with other components of state or observation than "
        "the task {} has, expected one of this task",
        recording.task, task.name()));
  }
  return MakeAnimation(recording, system.get(), "", most_mb);
}

}  // namespace foreplan

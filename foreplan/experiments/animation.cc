#include "foreplan/experiments/animation.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/packed_integers.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/systems/observed_state.h"
#include "foreplan/systems/scene.h"

namespace foreplan {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kPositionStep = 1e-5;         // of the scene's extent
constexpr double kTraceStep = 1e-3;            // of the scene's extent
constexpr double kRotationStep = 1.0 / 32767;  // of an entry of a unit quaternion
constexpr float kNanFloat = std::numeric_limits<float>::quiet_NaN();
/// States that are found by iteration take a hundred times as long as those that are read off.
constexpr double kMostStatesSolved = 2e5;

/// How much of what was imagined is kept.
struct Choice {
  int ahead = 1;          // every so manyth step ahead
  int futures_every = 1;  // of the plans whose futures were recorded
  int imagined_every = 1;
  bool has_futures = true;
  bool has_imagined = true;
};

Json AsJson(const std::vector<Component>& components) {
  Json list = Json::array();
  for (const Component& component : components) {
    list.push_back({{"name", component.name}, {"unit", component.unit}});
  }
  return list;
}

template <typename T>
std::vector<float> AsFloats(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

int32_t Rounded(double value, double step) {
  if (!std::isfinite(value)) return 0;
  constexpr double kMost = 1 << 30;
  return static_cast<int32_t>(std::lround(std::clamp(value / step, -kMost, kMost)));
}

/// Of what was kept every so manyth of: the next step of leaving out.
bool LeaveOutMore(const EpisodeRecording& recording, Choice& choice) {
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
  if (every == 1) return "every";
  if (every == 2) return "every other";
  return fmt::format("every {}{}", every, every == 3 ? "rd" : "th");
}

std::vector<std::string> LeftOut(const EpisodeRecording& recording, const Choice& choice) {
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

/// Standard deviation of the change in one step of every component: [no].
std::vector<double> ChangeScale(const EpisodeRecording& recording) {
  const size_t no = recording.observation.size();
  const auto steps = static_cast<size_t>(recording.steps());
  std::vector<double> scale(no);
  for (size_t i = 0; i < no; ++i) {
    double sum = 0;
    double squares = 0;
    for (size_t t = 0; t < steps; ++t) {
      const double change =
          recording.observations[(t + 1) * no + i] - recording.observations[t * no + i];
      sum += change;
      squares += change * change;
    }
    const double count = std::max<double>(1, static_cast<double>(steps));
    scale[i] = std::sqrt(std::max(0.0, squares / count - (sum / count) * (sum / count)));
  }
  return scale;
}

/// What the plan that a step executes had imagined of the observation after it, against what was
/// observed: root mean square over the components that change, each in its scale. NaN: nothing was
/// imagined.
std::vector<float> ModelErrors(const EpisodeRecording& recording) {
  const size_t no = recording.observation.size();
  const std::vector<double> scale = ChangeScale(recording);
  std::vector<float> errors(static_cast<size_t>(recording.steps()), kNanFloat);
  if (recording.imagined.empty()) return errors;
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
      if (!(scale[i] > 0)) continue;
      const double off =
          (recording.imagined[row * no + i] - recording.observations[(t + 1) * no + i]) / scale[i];
      sum += off * off;
      ++count;
    }
    if (count > 0) errors[t] = static_cast<float>(std::sqrt(sum / count));
  }
  return errors;
}

void RepeatLast(int64_t times, size_t size, std::vector<float>& rows) {
  const std::vector<float> last(rows.end() - static_cast<ptrdiff_t>(size), rows.end());
  for (; times > 0; --times) rows.insert(rows.end(), last.begin(), last.end());
}

Json SceneJson(const Scene& scene, std::span<const ScenePose> first) {
  Json bodies = Json::array();
  int moving = 0;
  for (size_t i = 0; i < scene.bodies.size(); ++i) {
    const SceneBody& body = scene.bodies[i];
    Json json = {{"name", body.name}, {"moving", body.moves ? moving++ : -1}};
    if (!body.moves) {
      json["position"] = first[i].position;
      json["rotation"] = first[i].rotation;
    }
    bodies.push_back(std::move(json));
  }
  Json shapes = Json::array();
  for (const SceneShape& shape : scene.shapes) {
    shapes.push_back({{"name", shape.name},
                      {"kind", shape.is_site ? "site" : "geom"},
                      {"body", shape.body},
                      {"type", NameOf(shape.type)},
                      {"size", shape.size},
                      {"position", shape.pose.position},
                      {"rotation", shape.pose.rotation},
                      {"color", shape.color},
                      {"mesh", shape.mesh}});
  }
  return {{"extent", scene.extent},
          {"center", scene.center},
          {"follow", scene.follow},
          {"bodies", std::move(bodies)},
          {"shapes", std::move(shapes)}};
}

/// Places of one episode, and of what was imagined in it.
class Stage {
 public:
  Stage(const EpisodeRecording& recording, const System& system, std::unique_ptr<Picture> picture)
      : recording_(recording),
        picture_(std::move(picture)),
        poses_(picture_->scene().bodies.size()),
        ns_(recording.state.size()),
        no_(recording.observation.size()),
        observed_(system, *picture_, State(0)) {}

  [[nodiscard]] const Scene& scene() const { return picture_->scene(); }
  [[nodiscard]] double position_step() const { return kPositionStep * scene().extent; }
  [[nodiscard]] double trace_step() const { return kTraceStep * scene().extent; }

  [[nodiscard]] Json json() {
    picture_->Place(State(0), poses_);
    return SceneJson(scene(), poses_);
  }

  void AddFrames(TensorFile& file) {
    const auto frames = static_cast<int64_t>(recording_.states.size() / ns_);
    std::vector<int32_t> positions, rotations, traces;
    std::vector<ScenePose> before(poses_.size());
    for (int64_t frame = 0; frame < frames; ++frame) {
      picture_->Place(State(static_cast<size_t>(frame)), poses_);
      for (size_t i = 0; i < poses_.size(); ++i) KeepContinuous(before[i], poses_[i]);
      for (size_t i = 0; i < poses_.size(); ++i) {
        if (!scene().bodies[i].moves) continue;
        for (const double x : poses_[i].position) positions.push_back(Rounded(x, position_step()));
        for (const double q : poses_[i].rotation) rotations.push_back(Rounded(q, kRotationStep));
      }
      AddTracedPoints(traces);
      before = poses_;
    }
    const auto moving = std::ranges::count_if(scene().bodies, &SceneBody::moves);
    file.tensors["body.position.packed"] = PackIntegers(positions, {frames, moving, 3}, 0);
    file.tensors["body.rotation.packed"] = PackIntegers(rotations, {frames, moving, 4}, 0);
    file.tensors["trace.packed"] = PackIntegers(traces, {frames, traced(), 3}, 0);
  }

  void AddContacts(TensorFile& file) {
    std::vector<int32_t> counts, positions;
    for (size_t frame = 0; frame < recording_.states.size() / ns_; ++frame) {
      const std::vector<ScenePoint> points = picture_->Contacts(State(frame));
      counts.push_back(static_cast<int32_t>(points.size()));
      for (const ScenePoint& point : points) {
        for (const double x : point) positions.push_back(Rounded(x, position_step()));
      }
    }
    if (positions.empty()) return;
    const auto points = static_cast<int64_t>(positions.size() / 3);
    file.tensors["contact.count"] = {{std::ssize(counts)}, std::move(counts)};
    file.tensors["contact.position.packed"] = PackIntegers(positions, {points, 3}, -1);
  }

  void AddMeshes(TensorFile& file) {
    for (size_t i = 0; i < scene().meshes.size(); ++i) {
      const SceneMesh& mesh = scene().meshes[i];
      file.tensors[fmt::format("mesh.{}.vertex", i)] = {{std::ssize(mesh.vertices) / 3, 3},
                                                        mesh.vertices};
      file.tensors[fmt::format("mesh.{}.face", i)] = {{std::ssize(mesh.faces) / 3, 3}, mesh.faces};
    }
  }

  /// Steps ahead that are kept: 0, every so manyth, and the last.
  [[nodiscard]] std::vector<int> StepsAhead(int every) const {
    std::vector<int> steps;
    for (int k = 0; k <= recording_.horizon; k += every) steps.push_back(k);
    if (steps.back() != recording_.horizon) steps.push_back(recording_.horizon);
    return steps;
  }

  void AddImagined(const Choice& choice, TensorFile& file) {
    if (choice.has_imagined && !recording_.imagined.empty()) {
      file.tensors["plan.point.packed"] = PathsOf(recording_.imagined, recording_.imagined_every, 1,
                                                  choice.imagined_every, choice.ahead);
    }
    if (choice.has_futures && recording_.futures > 0) {
      file.tensors["future.point.packed"] =
          PathsOf(recording_.future_observations, recording_.futures_every, recording_.futures,
                  choice.futures_every, choice.ahead);
    }
  }

  /// Where traced points were expected: of x ~ N(m, C), mean p(m) and covariance J C J', J = dp/dx.
  void AddDistribution(TensorFile& file) {
    const auto steps = static_cast<int64_t>(recording_.expected_mean.size() / no_);
    if (steps == 0 || traced() == 0) return;
    std::vector<float> means, covariances;
    state_.assign(State(0).begin(), State(0).end());
    before_.assign(recording_.observations.begin(),
                   recording_.observations.begin() + static_cast<ptrdiff_t>(no_));
    for (size_t t = 0; t < static_cast<size_t>(steps); ++t) {
      const auto mean = std::span(recording_.expected_mean).subspan(t * no_, no_);
      const Eigen::MatrixXd J = PointJacobian(mean);
      const Eigen::Map<const Eigen::MatrixXd> C(
          recording_.expected_covariance.data() + t * no_ * no_, static_cast<Eigen::Index>(no_),
          static_cast<Eigen::Index>(no_));
      observed_.Follow(before_, mean, state_);
      before_.assign(mean.begin(), mean.end());
      for (size_t k = 0; k < scene().traced.size(); ++k) {
        const auto rows = J.middleRows<3>(static_cast<Eigen::Index>(3 * k));
        const Eigen::Matrix3d S = rows * C * rows.transpose();
        for (const double x : PointsIn(state_)[k]) means.push_back(static_cast<float>(x));
        for (const double s : {S(0, 0), S(0, 1), S(0, 2), S(1, 1), S(1, 2), S(2, 2)}) {
          covariances.push_back(static_cast<float>(s));
        }
      }
    }
    // What the last actions lead to is costed by nobody, and expected to stay.
    const auto frames = std::ssize(recording_.states) / static_cast<int64_t>(ns_);
    RepeatLast(frames - steps, static_cast<size_t>(3 * traced()), means);
    RepeatLast(frames - steps, static_cast<size_t>(6 * traced()), covariances);
    file.tensors["distribution.mean"] = {{frames, traced(), 3}, std::move(means)};
    file.tensors["distribution.covariance"] = {{frames, traced(), 6}, std::move(covariances)};
  }

  /// Whether finding the states of all that was imagined would take too long.
  [[nodiscard]] bool IsSlow(const Choice& choice) const {
    if (observed_.is_read_off()) return false;
    const double futures = choice.has_futures ? recording_.futures : 0;
    const double of_a_plan = futures / (recording_.futures_every * choice.futures_every) +
                             1.0 / (recording_.imagined_every * choice.imagined_every);
    const double states =
        static_cast<double>(recording_.plan_count()) * of_a_plan * (recording_.horizon + 1);
    return states > kMostStatesSolved;
  }

 private:
  [[nodiscard]] std::span<const double> State(size_t frame) const {
    return std::span(recording_.states).subspan(frame * ns_, ns_);
  }
  [[nodiscard]] int64_t traced() const { return std::ssize(scene().traced); }

  /// q and -q are one rotation: the one next to the rotation before.
  static void KeepContinuous(const ScenePose& before, ScenePose& pose) {
    double product = 0;
    for (size_t i = 0; i < 4; ++i) product += before.rotation[i] * pose.rotation[i];
    if (product >= 0) return;
    for (double& entry : pose.rotation) entry = -entry;
  }

  [[nodiscard]] std::vector<ScenePoint> PointsIn(std::span<const double> state) {
    picture_->Place(state, poses_);
    std::vector<ScenePoint> points;
    for (const ScenePart& part : scene().traced) {
      points.push_back(Moved(poses_[static_cast<size_t>(part.body)], part.place));
    }
    return points;
  }

  /// Of the traced points by the observation, around a step from before_ and state_ to `mean`:
  /// [3 traced x no].
  [[nodiscard]] Eigen::MatrixXd PointJacobian(std::span<const double> mean) {
    constexpr double kChange = 1e-4;
    Eigen::MatrixXd J(3 * traced(), static_cast<Eigen::Index>(no_));
    now_.assign(mean.begin(), mean.end());
    const auto points_at = [&](size_t component, double change) {
      std::vector<double> state = state_;
      now_[component] += change;
      observed_.Follow(before_, now_, state);
      now_[component] -= change;
      return PointsIn(state);
    };
    for (size_t i = 0; i < no_; ++i) {
      const std::vector<ScenePoint> above = points_at(i, kChange);
      const std::vector<ScenePoint> below = points_at(i, -kChange);
      for (size_t k = 0; k < above.size(); ++k) {
        for (size_t axis = 0; axis < 3; ++axis) {
          J(static_cast<Eigen::Index>(3 * k + axis), static_cast<Eigen::Index>(i)) =
              (above[k][axis] - below[k][axis]) / (2 * kChange);
        }
      }
    }
    return J;
  }

  // Of the bodies as they are placed.
  void AddTracedPoints(std::vector<int32_t>& points) const {
    for (const ScenePart& part : scene().traced) {
      const ScenePoint point = Moved(poses_[static_cast<size_t>(part.body)], part.place);
      for (const double x : point) points.push_back(Rounded(x, trace_step()));
    }
  }

  /// `rows`: [plans / plans_every x count x (H + 1) x no] -> [plans / (plans_every every) (x count)
  /// x steps ahead x traced x 3]. A path begins in the state in which its plan was made.
  Tensor PathsOf(const std::vector<float>& rows, int plans_every, int count, int every,
                 int ahead_every) {
    const std::vector<int> ahead = StepsAhead(ahead_every);
    const size_t path = static_cast<size_t>(recording_.horizon + 1) * no_;
    const size_t recorded = rows.size() / path / static_cast<size_t>(count);
    std::vector<int32_t> points;
    int64_t kept = 0;
    for (size_t row = 0; row < recorded; row += static_cast<size_t>(every), ++kept) {
      const auto plan = row * static_cast<size_t>(plans_every);
      const auto first = static_cast<size_t>(recording_.first_steps[plan]);
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        AddPath(std::span(rows).subspan((row * static_cast<size_t>(count) + i) * path, path),
                State(first), ahead, points);
      }
    }
    std::vector<int64_t> shape = {kept, std::ssize(ahead), traced(), 3};
    if (&rows == &recording_.future_observations) shape.insert(shape.begin() + 1, count);
    return PackIntegers(points, shape, static_cast<int>(shape.size()) - 3);
  }

  void AddPath(std::span<const float> observations, std::span<const double> start,
               const std::vector<int>& ahead, std::vector<int32_t>& points) {
    state_.assign(start.begin(), start.end());
    before_.assign(observations.begin(), observations.begin() + static_cast<ptrdiff_t>(no_));
    size_t next = 0;
    for (int k = 0; k <= recording_.horizon; ++k) {
      const auto row = observations.subspan(static_cast<size_t>(k) * no_, no_);
      now_.assign(row.begin(), row.end());
      if (k > 0) observed_.Follow(before_, now_, state_);
      std::swap(before_, now_);
      if (ahead[next] != k) continue;
      ++next;
      picture_->Place(state_, poses_);
      AddTracedPoints(points);
    }
  }

  const EpisodeRecording& recording_;
  std::unique_ptr<Picture> picture_;
  std::vector<ScenePose> poses_;
  size_t ns_;
  size_t no_;
  ObservedState observed_;
  std::vector<double> state_, before_, now_;
};

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
void AddFutureReturns(const EpisodeRecording& recording, const Choice& choice, TensorFile& file) {
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
              const Choice& choice) {
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
                 {"observation", AsJson(recording.observation)},
                 {"action", AsJson(recording.action)}};
  if (spec != nullptr) {
    header["action_low"] = spec->action_low;
    header["action_high"] = spec->action_high;
  }
  header["horizon"] = recording.horizon;
  header["imagined_every"] = recording.imagined_every * choice.imagined_every;
  header["futures_every"] = recording.futures_every * choice.futures_every;
  return header;
}

std::string StreamOf(const EpisodeRecording& recording, const EnvironmentSpec* spec, Stage* stage,
                     const std::string& reason, const Choice& choice) {
  TensorFile file;
  AddNumbers(recording, file);
  Json header = HeaderOf(recording, spec, choice);
  Json traces = Json::array();
  header["scene"] = nullptr;
  if (stage != nullptr) {
    stage->AddFrames(file);
    stage->AddContacts(file);
    stage->AddMeshes(file);
    stage->AddDistribution(file);
    if (recording.plan_count() > 0) {
      stage->AddImagined(choice, file);
      AddFutureReturns(recording, choice, file);
      header["horizon_steps"] = stage->StepsAhead(choice.ahead);
    }
    header["position_step"] = stage->position_step();
    header["trace_step"] = stage->trace_step();
    header["scene"] = stage->json();
    for (const ScenePart& part : stage->scene().traced) traces.push_back({{"name", part.name}});
  }
  header["traces"] = std::move(traces);
  header["left_out"] = LeftOut(recording, choice);
  header["nothing_to_draw"] = reason;
  file.metadata = {{"format", "foreplan.animation"},
                   {"version", "1"},
                   {"animation", header.dump(-1, ' ', false, Json::error_handler_t::replace)}};
  return GzipOf(SerializeTensors(file, "animation"));
}

}  // namespace

Animation MakeAnimation(const EpisodeRecording& recording, const System* system,
                        const std::string& reason, double most_mb) {
  std::unique_ptr<System> own;
  std::unique_ptr<Stage> stage;
  std::string why = reason;
  if (system != nullptr && !recording.state.empty()) {
    own = system->Clone();
    own->SetState(std::span(recording.states).first(recording.state.size()));
    if (std::unique_ptr<Picture> picture = own->MakePicture()) {
      stage = std::make_unique<Stage>(recording, *own, std::move(picture));
    } else {
      why = "its system has no picture";
    }
  }
  const EnvironmentSpec* spec = system == nullptr ? nullptr : &system->spec();
  Choice choice;
  while (stage != nullptr && stage->IsSlow(choice) && LeaveOutMore(recording, choice)) {
  }
  for (;;) {
    std::string bytes = StreamOf(recording, spec, stage.get(), why, choice);
    if (static_cast<double>(bytes.size()) <= 1e6 * most_mb) {
      return {std::move(bytes), LeftOut(recording, choice)};
    }
    if (stage == nullptr || !LeaveOutMore(recording, choice)) {
      throw InputError(fmt::format(
          "animation of episode {} of {}: found {:.1f} MB without anything imagined, expected at "
          "most {:g} MB (--mb)",
          recording.episode, recording.task, static_cast<double>(bytes.size()) / 1e6, most_mb));
    }
  }
}

Animation MakeAnimation(const EpisodeRecording& recording, const Task& task, double most_mb) {
  if (recording.state.empty()) {
    return MakeAnimation(recording, nullptr, "its environment shows no state", most_mb);
  }
  std::unique_ptr<System> system;
  try {
    system = task.MakeSystem();
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

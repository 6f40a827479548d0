#include "foreplan/experiments/animation_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "foreplan/data/packed_integers.h"

namespace foreplan {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kPositionStep = 1e-5;         // of the scene's extent
constexpr double kTraceStep = 2e-3;            // of the scene's extent
constexpr double kRotationStep = 1.0 / 32767;  // of an entry of a unit quaternion
/// States that are found by iteration take a hundred times as long as those that are read off.
constexpr double kMostStatesSolved = 2e5;

int32_t Rounded(double value, double step) {
  if (!std::isfinite(value)) return 0;
  constexpr double kMost = 1 << 30;
  return static_cast<int32_t>(std::lround(std::clamp(value / step, -kMost, kMost)));
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

}  // namespace

AnimationStage::AnimationStage(const EpisodeRecording& recording, const System& system,
                               std::unique_ptr<Picture> picture)
    : recording_(recording),
      picture_(std::move(picture)),
      poses_(picture_->scene().bodies.size()),
      ns_(recording.state.size()),
      no_(recording.observation.size()),
      observed_(system, *picture_, State(0)) {}

nlohmann::ordered_json AnimationStage::json() {
  picture_->Place(State(0), poses_);
  return SceneJson(scene(), poses_);
}

void AnimationStage::AddFrames(TensorFile& file) {
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

void AnimationStage::AddContacts(TensorFile& file) {
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

void AnimationStage::AddMeshes(TensorFile& file) {
  for (size_t i = 0; i < scene().meshes.size(); ++i) {
    const SceneMesh& mesh = scene().meshes[i];
    file.tensors[fmt::format("mesh.{}.vertex", i)] = {{std::ssize(mesh.vertices) / 3, 3},
                                                      mesh.vertices};
    file.tensors[fmt::format("mesh.{}.face", i)] = {{std::ssize(mesh.faces) / 3, 3}, mesh.faces};
  }
}

std::vector<int> AnimationStage::StepsAhead(int every) const {
  std::vector<int> steps;
  for (int k = 0; k <= recording_.horizon; k += every) steps.push_back(k);
  if (steps.back() != recording_.horizon) steps.push_back(recording_.horizon);
  return steps;
}

void AnimationStage::AddImagined(const AnimationChoice& choice, TensorFile& file) {
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

void AnimationStage::AddDistribution(TensorFile& file) {
  const auto steps = static_cast<int64_t>(recording_.expected_mean.size() / no_);
  if (steps == 0 || traced() == 0) return;
  std::vector<float> means, covariances;
  state_.assign(State(0).begin(), State(0).end());
  before_.assign(recording_.observations.begin(),
                 recording_.observations.begin() + static_cast<ptrdiff_t>(no_));
  for (size_t t = 0; t < static_cast<size_t>(steps); ++t) {
    const auto mean = std::span(recording_.expected_mean).subspan(t * no_, no_);
    const Eigen::MatrixXd J = PointJacobian(mean);
    const Eigen::Map<const Eigen::MatrixXd> C(recording_.expected_covariance.data() + t * no_ * no_,
                                              static_cast<Eigen::Index>(no_),
                                              static_cast<Eigen::Index>(no_));
    if (t > 0) observed_.Follow(before_, mean, state_);
    before_.assign(mean.begin(), mean.end());
    const std::vector<ScenePoint> points = PointsIn(state_);
    for (size_t k = 0; k < scene().traced.size(); ++k) {
      const auto rows = J.middleRows<3>(static_cast<Eigen::Index>(3 * k));
      const Eigen::Matrix3d S = rows * C * rows.transpose();
      for (const double x : points[k]) means.push_back(static_cast<float>(x));
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

bool AnimationStage::IsSlow(const AnimationChoice& choice) const {
  if (observed_.is_read_off()) return false;
  const double futures = choice.has_futures ? recording_.futures : 0;
  const double of_a_plan = futures / (recording_.futures_every * choice.futures_every) +
                           1.0 / (recording_.imagined_every * choice.imagined_every);
  const double states =
      static_cast<double>(recording_.plan_count()) * of_a_plan * (recording_.horizon + 1);
  return states > kMostStatesSolved;
}

std::span<const double> AnimationStage::State(size_t frame) const {
  return std::span(recording_.states).subspan(frame * ns_, ns_);
}

void AnimationStage::KeepContinuous(const ScenePose& before, ScenePose& pose) {
  double product = 0;
  for (size_t i = 0; i < 4; ++i) product += before.rotation[i] * pose.rotation[i];
  if (product >= 0) return;
  for (double& entry : pose.rotation) entry = -entry;
}

std::vector<ScenePoint> AnimationStage::PointsIn(std::span<const double> state) {
  picture_->Place(state, poses_);
  std::vector<ScenePoint> points;
  for (const ScenePart& part : scene().traced) {
    points.push_back(Moved(poses_[static_cast<size_t>(part.body)], part.place));
  }
  return points;
}

Eigen::MatrixXd AnimationStage::PointJacobian(std::span<const double> mean) {
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
void AnimationStage::AddTracedPoints(std::vector<int32_t>& points) const {
  for (const ScenePart& part : scene().traced) {
    const ScenePoint point = Moved(poses_[static_cast<size_t>(part.body)], part.place);
    for (const double x : point) points.push_back(Rounded(x, trace_step()));
  }
}

Tensor AnimationStage::PathsOf(const std::vector<float>& rows, int plans_every, int count,
                               int every, int ahead_every) {
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

void AnimationStage::AddPath(std::span<const float> observations, std::span<const double> start,
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

double AnimationStage::position_step() const { return kPositionStep * scene().extent; }
double AnimationStage::trace_step() const { return kTraceStep * scene().extent; }

}  // namespace foreplan

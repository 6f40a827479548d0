// Where everything of a recorded episode was and was imagined to be, as tensors of an animation.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "foreplan/data/episode_recording.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/systems/observed_state.h"
#include "foreplan/systems/scene.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// How much of what was imagined is kept.
struct AnimationChoice {
  int ahead = 1;          // every so manyth step ahead
  int futures_every = 1;  // of the plans whose futures were recorded
  int imagined_every = 1;
  bool has_futures = true;
  bool has_imagined = true;
};

/// Places of one episode, and of what was imagined in it. The recording must outlive it.
class AnimationStage {
 public:
  AnimationStage(const EpisodeRecording& recording, const System& system,
                 std::unique_ptr<Picture> picture);

  [[nodiscard]] const Scene& scene() const { return picture_->scene(); }
  /// Of places and of lines [m].
  [[nodiscard]] double position_step() const;
  [[nodiscard]] double trace_step() const;

  /// Scene and first poses.
  [[nodiscard]] nlohmann::ordered_json json();

  void AddFrames(TensorFile& file);

  void AddContacts(TensorFile& file);

  void AddMeshes(TensorFile& file);

  /// Steps ahead that are kept: 0, every so manyth, and the last.
  [[nodiscard]] std::vector<int> StepsAhead(int every) const;

  void AddImagined(const AnimationChoice& choice, TensorFile& file);

  /// Where traced points were expected: of x ~ N(m, C), mean p(m) and covariance J C J', J = dp/dx.
  void AddDistribution(TensorFile& file);

  /// Whether finding the states of all that was imagined would take too long.
  [[nodiscard]] bool IsSlow(const AnimationChoice& choice) const;

 private:
  [[nodiscard]] std::span<const double> State(size_t frame) const;
  [[nodiscard]] int64_t traced() const { return std::ssize(scene().traced); }

  /// q and -q are one rotation: the one next to the rotation before.
  static void KeepContinuous(const ScenePose& before, ScenePose& pose);

  [[nodiscard]] std::vector<ScenePoint> PointsIn(std::span<const double> state);

  /// Of the traced points by the observation, around a step from before_ and state_ to `mean`:
  /// [3 traced x no].
  [[nodiscard]] Eigen::MatrixXd PointJacobian(std::span<const double> mean);

  // Of the bodies as they are placed.
  void AddTracedPoints(std::vector<int32_t>& points) const;

  /// `rows`: [plans / plans_every x count x (H + 1) x no] -> [plans / (plans_every every) (x count)
  /// x steps ahead x traced x 3]. A path begins in the state in which its plan was made.
  Tensor PathsOf(const std::vector<float>& rows, int plans_every, int count, int every,
                 int ahead_every);

  void AddPath(std::span<const float> observations, std::span<const double> start,
               const std::vector<int>& ahead, std::vector<int32_t>& points);

  const EpisodeRecording& recording_;
  std::unique_ptr<Picture> picture_;
  std::vector<ScenePose> poses_;
  size_t ns_;
  size_t no_;
  ObservedState observed_;
  std::vector<double> state_, before_, now_;
};

}  // namespace foreplan

#include "foreplan/experiments/animation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/packed_integers.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/systems/closed_form/unicycle.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Numbers = std::vector<double>;

constexpr int kSteps = 12;
constexpr int kHorizon = 4;
constexpr int kFutures = 2;

/// The unicycle drives a curve. A plan is made at every other step; what is imagined is what
/// happens, future 1 is off by a metre along x.
EpisodeRecording Drive() {
  Unicycle system;
  EpisodeRecording r;
  r.program = "test";
  r.task = "unicycle";
  r.controller = "mpc";
  r.episode = 3;
  r.dt = system.spec().dt;
  r.observation = system.spec().observation;
  r.state = system.spec().state;
  r.action = system.spec().action;
  r.end = "length";
  r.horizon = kHorizon;
  r.futures = kFutures;
  Numbers state(3);
  system.SetState(Numbers{1, 2, 0.3});
  for (int t = 0; t <= kSteps + kHorizon; ++t) {
    system.GetState(state);
    r.states.insert(r.states.end(), state.begin(), state.end());
    EXPECT_EQ(system.Step(Numbers{0.5 + 0.05 * t, 0.4}), StepStatus::kOk);
  }
  const Numbers all = r.states;  // longer than the episode
  for (int t = 0; t < kSteps; ++t) {
    if (t % 2 == 0) {
      r.first_steps.push_back(t);
      r.expected_returns.push_back(0.1 * t);
      r.planned_actions.insert(r.planned_actions.end(), kHorizon * 2, 0.5F);
      for (int k = 0; k <= kHorizon; ++k) {
        const auto* row = all.data() + static_cast<ptrdiff_t>(3 * (t + k));
        r.imagined.insert(r.imagined.end(), row, row + 3);
      }
      for (int future = 0; future < kFutures; ++future) {
        r.future_returns.push_back(static_cast<float>(10 * t + future));
        for (int k = 0; k <= kHorizon; ++k) {
          const auto* row = all.data() + static_cast<ptrdiff_t>(3 * (t + k));
          r.future_observations.insert(r.future_observations.end(),
                                       {static_cast<float>(row[0] + (k > 0 ? future : 0)),
                                        static_cast<float>(row[1]), static_cast<float>(row[2])});
        }
      }
    }
    r.plans.push_back(t / 2);
    r.actions.insert(r.actions.end(), {0.5 + 0.05 * t, 0.4});
    r.rewards.push_back(0.25 * t);
    r.ends.push_back(t + 1 == kSteps ? StepEnd::kTruncated : StepEnd::kContinues);
  }
  r.states.resize(3 * (kSteps + 1));
  r.observations = r.states;
  return r;
}

struct Read {
  TensorFile file;
  nlohmann::json header;

  explicit Read(const Animation& animation)
      : file(ParseTensors(Gunzip(animation.bytes, 1 << 26, "animation"), "animation")),
        header(nlohmann::json::parse(file.metadata.at("animation"))) {}

  /// Numbers of a packed tensor.
  [[nodiscard]] Numbers Values(const std::string& name, int axis, double step) const {
    Numbers values;
    for (const int32_t n : UnpackIntegers(file.tensors.at(name), axis)) values.push_back(step * n);
    return values;
  }
  [[nodiscard]] std::vector<int64_t> Shape(const std::string& name) const {
    return file.tensors.at(name).shape;
  }
};

Animation OfDrive(const EpisodeRecording& recording, double most_mb = kAnimationMb) {
  return MakeAnimation(recording, Task::Load("unicycle").first, most_mb);
}

TEST(Animation, PlacesAreTheStatesToAStepOfItsExtent) {
  const EpisodeRecording drive = Drive();
  const Read read(OfDrive(drive));
  const double step = read.header["position_step"];
  EXPECT_DOUBLE_EQ(step, 1e-5 * read.header["scene"]["extent"].get<double>());
  const Numbers places = read.Values("body.position.packed", 0, step);
  const Numbers turns = read.Values("body.rotation.packed", 0, 1.0 / 32767);
  ASSERT_EQ(read.Shape("body.position.packed"), (std::vector<int64_t>{3, kSteps + 1, 1, 3}));
  for (size_t t = 0; t <= kSteps; ++t) {
    EXPECT_NEAR(places[3 * t], drive.states[3 * t], 0.51 * step);
    EXPECT_NEAR(places[3 * t + 1], drive.states[3 * t + 1], 0.51 * step);
    const double angle = 2 * std::atan2(turns[4 * t + 3], turns[4 * t]);
    EXPECT_NEAR(angle, drive.states[3 * t + 2], 1e-4) << "two steps of 1/32767, twice";
  }
  EXPECT_EQ(read.header["scene"]["bodies"][1]["moving"], 0);
  EXPECT_EQ(read.header["scene"]["bodies"][0]["moving"], -1);
  EXPECT_THAT(read.header["left_out"], IsEmpty());
}

// A plan's path begins where it was made, in the row of its number, and lies on what happened.
TEST(Animation, WhatIsImaginedBelongsToItsPlanAndItsStep) {
  const EpisodeRecording drive = Drive();
  const Read read(OfDrive(drive));
  const double step = read.header["trace_step"];
  const Numbers traced = read.Values("trace.packed", 0, step);
  ASSERT_EQ(read.Shape("plan.point.packed"),
            (std::vector<int64_t>{read.Shape("plan.point.packed")[0], 6, 5, 1, 3}));
  const Numbers plans = read.Values("plan.point.packed", 1, step);
  const Numbers futures = read.Values("future.point.packed", 2, step);
  for (size_t plan = 0; plan < 6; ++plan) {
    for (size_t k = 0; k <= kHorizon && 2 * plan + k <= kSteps; ++k) {
      for (size_t axis = 0; axis < 3; ++axis) {
        const double real = traced[3 * (2 * plan + k) + axis];
        EXPECT_NEAR(plans[(plan * 5 + k) * 3 + axis], real, 1.01 * step);
        for (size_t future = 0; future < kFutures; ++future) {
          const double off = axis == 0 && k > 0 ? static_cast<double>(future) : 0.0;
          EXPECT_NEAR(futures[((plan * kFutures + future) * 5 + k) * 3 + axis], real + off,
                      1.01 * step);
        }
      }
    }
  }
  const std::array<int64_t, 2> shape = {6, kFutures};
  EXPECT_EQ(read.file.Floats("future.return", shape)[5], 41);
  EXPECT_THAT(read.header["horizon_steps"], ElementsAre(0, 1, 2, 3, 4));
}

TEST(Animation, ErrorsOfTheModelAreThoseOfTheStepThatWasTaken) {
  EpisodeRecording drive = Drive();
  const auto errors = [](const EpisodeRecording& recording) {
    const std::array<int64_t, 1> shape = {kSteps};
    return Read(OfDrive(recording)).file.Floats("model_error", shape);
  };
  EXPECT_THAT(errors(drive), Each(testing::Lt(1e-4F))) << "imagined in float";
  // The plan of step 4 is off in what it imagined two steps ahead: that is what step 5 leads to.
  drive.imagined[static_cast<size_t>(2 * 5 + 2) * 3] += 1;
  const std::vector<float> off = errors(drive);
  EXPECT_LT(off[4], 1e-4F);
  EXPECT_GT(off[5], 1.0F);
  EXPECT_LT(off[6], 1e-4F);
  EpisodeRecording still = Drive();
  for (size_t t = 0; t <= kSteps; ++t) {
    still.observations[3 * t + 2] = t % 2 == 0 ? 0.3 : std::nextafter(0.3, 1);
  }
  for (size_t i = 2; i < still.imagined.size(); i += 3) still.imagined[i] = 0.3F;
  EXPECT_THAT(errors(still), Each(testing::Lt(1e-4F))) << "what is constant but for rounding";
  drive.imagined_every = 2;  // plans 1, 3, 5 have nothing imagined: steps 2, 3, 6, 7, 10, 11
  drive.imagined.resize(drive.imagined.size() / 2);
  const std::vector<float> some = errors(drive);
  for (size_t t = 0; t < kSteps; ++t) EXPECT_EQ(std::isnan(some[t]), t % 4 > 1) << t;
}

TEST(Animation, LeavesOutWhatWasImaginedToStayWithinItsBound) {
  EpisodeRecording drive = Drive();
  for (size_t i = 0; i < drive.future_observations.size(); ++i) {  // so that they do not pack well
    drive.future_observations[i] += static_cast<float>(std::sin(12.9898 * static_cast<double>(i)));
  }
  const size_t whole = OfDrive(drive).bytes.size();
  bool has_dropped_futures = false;
  bool has_halved_futures = false;
  for (double mb = 4e-6 / 3 * static_cast<double>(whole); mb > 0; mb -= 2e-5) {
    try {
      const Animation animation = OfDrive(drive, mb);
      // In a page, as base64.
      EXPECT_LE(static_cast<double>(animation.bytes.size()) * 4 / 3, 1e6 * mb);
      const Read read(animation);
      EXPECT_EQ(read.header["left_out"].size(), animation.left_out.size());
      has_dropped_futures =
          has_dropped_futures || !read.file.tensors.contains("future.point.packed");
      if (read.file.tensors.contains("future.point.packed")) {
        const auto shape = read.Shape("future.point.packed");
        const int every = read.header["futures_every"];
        has_halved_futures = has_halved_futures || every == 2;
        EXPECT_EQ(shape[1], (6 + every - 1) / every);
        const std::array<int64_t, 2> returns = {shape[1], kFutures};
        const std::vector<float>& kept = read.file.Floats("future.return", returns);
        for (int64_t row = 0; row < shape[1]; ++row) {  // of plan row * every, made at step 2 of it
          EXPECT_EQ(kept[static_cast<size_t>(kFutures * row + 1)], 20 * row * every + 1);
        }
        EXPECT_EQ(shape[3], std::ssize(read.header["horizon_steps"]));
      }
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr("--mb"));
      EXPECT_TRUE(has_dropped_futures);
      EXPECT_TRUE(has_halved_futures);
      return;
    }
  }
  FAIL() << "no bound was too small";
}

// The unicycle's place is observed as it is: its spread is that of x and y.
TEST(Animation, ExpectedTrajectoriesBecomePlacesWithTheirSpread) {
  EpisodeRecording drive = Drive();
  drive.expected_mean.assign(drive.states.begin(), drive.states.end() - 3);
  for (int t = 0; t < kSteps; ++t) {
    const double grown = 1 + t;
    for (const double c : {0.04, 0.005, 0.0, 0.005, 0.01, 0.002, 0.0, 0.002, 0.09}) {
      drive.expected_covariance.push_back(grown * c);
    }
  }
  const Read read(OfDrive(drive));
  const std::vector<float>& mean =
      read.file.Floats("distribution.mean", std::array<int64_t, 3>{kSteps + 1, 1, 3});
  const std::vector<float>& covariance =
      read.file.Floats("distribution.covariance", std::array<int64_t, 3>{kSteps + 1, 1, 6});
  for (size_t t = 0; t <= kSteps; ++t) {
    const size_t at = std::min<size_t>(t, kSteps - 1);  // the last is repeated
    EXPECT_FLOAT_EQ(mean[3 * t], static_cast<float>(drive.states[3 * at]));
    EXPECT_FLOAT_EQ(mean[3 * t + 1], static_cast<float>(drive.states[3 * at + 1]));
    const auto grown = static_cast<float>(1 + at);
    // Central differences of what is linear: rounding alone.
    EXPECT_NEAR(covariance[6 * t], 0.04F * grown, 1e-6);
    EXPECT_NEAR(covariance[6 * t + 1], 0.005F * grown, 1e-6);
    EXPECT_NEAR(covariance[6 * t + 3], 0.01F * grown, 1e-6);
    EXPECT_EQ(covariance[6 * t + 5], 0) << "on the ground";
  }
}

TEST(Animation, SaysWhyThereIsNothingToDraw) {
  EpisodeRecording drive = Drive();
  const Read without(MakeAnimation(drive, nullptr, "because"));
  EXPECT_EQ(without.header["nothing_to_draw"], "because");
  EXPECT_TRUE(without.header["scene"].is_null());
  EXPECT_TRUE(without.file.tensors.contains("reward"));
  drive.state.clear();
  drive.states.clear();
  const Read stateless(OfDrive(drive));
  EXPECT_EQ(stateless.header["nothing_to_draw"], "its environment shows no state");
}

TEST(Animation, RefusesARecordingOfAnotherTask) {
  EpisodeRecording drive = Drive();
  drive.state[1].name = "other";
  try {
    OfDrive(drive);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("other components"));
  }
}

TEST(Animation, HoldsNoTimesAndIsEqualForEqualEpisodes) {
  EXPECT_EQ(OfDrive(Drive()).bytes, OfDrive(Drive()).bytes);
}

}  // namespace
}  // namespace foreplan

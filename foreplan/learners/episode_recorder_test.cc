// Long because a pendulum is played by hand for every kind of recording.
#include "foreplan/learners/episode_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/data/files.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/models/true_dynamics.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kHorizon = 3;

/// A folder that is there for one test.
class Folder {
 public:
  Folder() { fs::remove_all(path_); }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] std::vector<std::string> Files() const {
    std::vector<std::string> names;
    if (!fs::exists(path_)) return names;
    for (const auto& entry : fs::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }
  [[nodiscard]] EpisodeRecording Read(int episode) const {
    return ReadEpisodeRecording(path_ /
                                ("episode_00000" + std::to_string(episode) + ".safetensors.gz"));
  }

 private:
  fs::path path_ = fs::path(testing::TempDir()) / "recordings";
};

// --- the recorder, told of steps of a pendulum --------------------------------------------------

/// Its candidates are constant sequences.
class FakePlanner final : public Planner {
 public:
  std::vector<double> candidates;  // their actions, the best first

  [[nodiscard]] int horizon() const override { return kHorizon; }
  void Reset() override {}
  void set_model(const ModelVersion& /*version*/) override {}
  const Plan& MakePlan(const PlanRequest& /*request*/) override { return plan_; }
  [[nodiscard]] int CopyCandidates(std::span<double> sequences) const override {
    const size_t count = std::min(candidates.size(), sequences.size() / kHorizon);
    for (size_t i = 0; i < count; ++i) {
      std::ranges::fill(sequences.subspan(i * kHorizon, kHorizon), candidates[i]);
    }
    return static_cast<int>(count);
  }

 private:
  Plan plan_;
};

/// Plays the pendulum by plans that rise from action to action, and tells a recorder of it.
class Told : public testing::Test {
 protected:
  void Play(EpisodeRecorder& recorder, int episode, int steps, bool may_be_last = true,
            EpisodeEnd end = EpisodeEnd::kLength) {
    const auto system = task_.MakeSystem();
    system->Reset(Key{7, static_cast<uint64_t>(episode)});
    recorder.OnEpisodeBegin({episode, "test", *system, may_be_last, 2, expected_});
    std::vector<double> state(2);
    std::vector<double> next_state(2);
    std::vector<double> observation(3);
    std::vector<double> next_observation(3);
    system->GetState(state);
    system->Observe(observation);
    double sum = 0;
    for (int t = 0; t < steps; ++t) {
      if (t % period_ == 0) {
        Plan plan;
        plan.first_step = t;
        plan.actions = {0.1 * t, 0.1 * t + 0.5, 0.1 * t + 1};
        plan.expected_return = t;
        recorder.OnPlan({plan, planner_, state, {model_}});
      }
      const std::vector<double> action = {0.1 * t};
      ASSERT_EQ(system->Step(action), StepStatus::kOk);
      system->GetState(next_state);
      system->Observe(next_observation);
      const bool ends = t + 1 == steps && end == EpisodeEnd::kLength;
      const EpisodeStep step{.time = t,
                             .observation = observation,
                             .action = action,
                             .next_observation = next_observation,
                             .reward = 0.25 * t,
                             .end = ends ? StepEnd::kTruncated : StepEnd::kContinues,
                             .state = state,
                             .next_state = next_state};
      sum += step.reward;
      recorder.OnStep({step, episode, t + 1, sum});
      std::swap(state, next_state);
      std::swap(observation, next_observation);
    }
    recorder.OnEpisodeEnd({.episode = episode,
                           .controller = "test",
                           .steps = steps,
                           .total_steps = steps,
                           .episode_return = sum,
                           .end = end,
                           .note = end == EpisodeEnd::kLength ? "" : "qacc"});
  }

  /// What the pendulum shows along actions from a state, and what planners say it earns.
  [[nodiscard]] std::pair<std::vector<float>, double> Imagined(
      std::span<const double> state, const std::vector<double>& actions) const {
    const auto workspace = model_->MakeWorkspace(1);
    std::vector<double> now(state.begin(), state.end());
    std::vector<double> observation(3);
    model_->Observe(now, observation, *workspace);
    std::vector<float> all(observation.begin(), observation.end());
    double sum = 0;
    for (const double action : actions) {
      const std::vector<double> before = observation;
      std::vector<double> next(2);
      model_->Step({.rows = 1,
                    .state = now.data(),
                    .action = &action,
                    .next_state = next.data(),
                    .next_observation = observation.data(),
                    .key = {}},
                   *workspace);
      now = next;
      all.insert(all.end(), observation.begin(), observation.end());
      double reward = 0;
      uint8_t terminated = 0;
      task_.planning_reward().Evaluate({.rows = 1,
                                        .observation = before.data(),
                                        .action = &action,
                                        .next_observation = observation.data()},
                                       &reward, &terminated);
      sum += reward;
    }
    return {all, sum};
  }

  [[nodiscard]] EpisodeRecorder Recorder(const RecordOptions& options) const {
    return {task_, 5, folder_.path(), options};
  }

  Folder folder_;
  Task task_ = Task::Load("pendulum").first;
  std::shared_ptr<const Dynamics> model_ =
      std::make_shared<const TrueDynamics>(*task_.MakeSystem());
  FakePlanner planner_;
  std::function<TrajectoryDistribution()> expected_;
  int period_ = 1;
};

using EpisodeRecorderTest = Told;

std::vector<float> Row(const std::vector<float>& values, size_t row, size_t size) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * size);
  return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

TEST_F(EpisodeRecorderTest, KeepsStepsAndWhatTheyExecute) {
  period_ = 2;
  EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll});
  Play(recorder, 1, 5);
  const EpisodeRecording r = folder_.Read(1);
  EXPECT_EQ(r.task, "pendulum");
  EXPECT_EQ(r.controller, "test");
  EXPECT_EQ(r.seed, 5);
  EXPECT_EQ(r.condition, 2);
  EXPECT_EQ(r.dt, task_.spec().dt);
  EXPECT_EQ(r.observation.size(), 3U);
  EXPECT_EQ(r.observation[2].unit, task_.spec().observation[2].unit);
  EXPECT_EQ(r.state[1].name, "theta_dot");
  EXPECT_EQ(r.episode_return, 2.5);
  EXPECT_EQ(r.end, "length");
  EXPECT_EQ(r.actions, (std::vector<double>{0, 0.1, 0.2, 0.1 * 3, 0.4}));
  EXPECT_EQ(r.rewards, (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(r.ends.back(), StepEnd::kTruncated);
  EXPECT_EQ(r.plans, (std::vector<int32_t>{0, 0, 1, 1, 2}));
  EXPECT_EQ(r.first_steps, (std::vector<int32_t>{0, 2, 4}));
  EXPECT_EQ(r.expected_returns, (std::vector<double>{0, 2, 4}));
  EXPECT_EQ(Row(r.planned_actions, 1, 3), (std::vector<float>{0.2F, 0.7F, 1.2F}));
  // Row by row the pendulum's states, and what is observed of them.
  const auto system = task_.MakeSystem();
  for (size_t t = 0; t < 5; ++t) {
    std::vector<double> now(2);
    std::vector<double> seen(3);
    system->SetState(std::span(r.states).subspan(2 * t, 2));
    system->Observe(seen);
    EXPECT_TRUE(std::ranges::equal(seen, std::span(r.observations).subspan(3 * t, 3))) << t;
    EXPECT_EQ(system->Step(std::span(&r.actions[t], 1)), StepStatus::kOk);
    system->GetState(now);
    EXPECT_TRUE(std::ranges::equal(now, std::span(r.states).subspan(2 * t + 2, 2))) << t;
  }
}

// As far as the episode came.
TEST_F(EpisodeRecorderTest, KeepsWhereALocalPolicyExpectedToGo) {
  expected_ = [] {
    TrajectoryDistribution distribution;
    for (int t = 0; t < 5; ++t) {
      distribution.state_mean.push_back(Eigen::Vector3d(t, 0.5, -1));
      distribution.state_covariance.push_back(Eigen::Vector3d(0.1 + t, 2, 3).asDiagonal());
      distribution.state_covariance.back()(0, 1) = distribution.state_covariance.back()(1, 0) =
          0.25;
    }
    return distribution;
  };
  EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll});
  Play(recorder, 1, 5);
  const EpisodeRecording whole = folder_.Read(1);
  ASSERT_EQ(whole.expected_mean.size(), 5U * 3);
  EXPECT_EQ(std::vector<double>(whole.expected_mean.begin() + 6, whole.expected_mean.begin() + 9),
            (std::vector<double>{2, 0.5, -1}));
  EXPECT_EQ(std::vector<double>(whole.expected_covariance.begin() + 18,
                                whole.expected_covariance.begin() + 22),
            (std::vector<double>{2.1, 0.25, 0, 0.25}));
  Play(recorder, 2, 2);
  const EpisodeRecording ended_early = folder_.Read(2);
  EXPECT_EQ(ended_early.expected_mean.size(), 3U * 3);
  EXPECT_EQ(ended_early.expected_covariance.size(), 3U * 9);
  expected_ = [before = expected_] {
    TrajectoryDistribution distribution = before();
    distribution.state_covariance[2](1, 1) = std::numeric_limits<double>::infinity();
    return distribution;
  };
  Play(recorder, 3, 5);
  EXPECT_EQ(folder_.Read(3).expected_mean.size(), 2U * 3) << "dynamics that grow without bound";
}

TEST_F(EpisodeRecorderTest, ImaginesEveryPlanFromWhereItBegins) {
  EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll});
  Play(recorder, 1, 6);
  const EpisodeRecording r = folder_.Read(1);
  EXPECT_EQ(r.imagined_every, 1);
  for (size_t t = 0; t < 6; ++t) {
    const double first = 0.1 * static_cast<double>(t);
    const auto [expected, earned] =
        Imagined(std::span(r.states).subspan(2 * t, 2), {first, first + 0.5, first + 1});
    EXPECT_EQ(Row(r.imagined, t, 12), expected) << t;
    EXPECT_EQ(r.imagined[12 * t], static_cast<float>(r.observations[3 * t])) << t;
  }
}

TEST_F(EpisodeRecorderTest, FuturesAreOfTheBestCandidates) {
  planner_.candidates = {0.5, -0.25, 1.5};
  EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll, .futures = 4});
  Play(recorder, 1, 3);
  const EpisodeRecording r = folder_.Read(1);
  ASSERT_EQ(r.futures, 4);
  for (size_t t = 0; t < 3; ++t) {
    for (size_t i = 0; i < 4; ++i) {  // the fourth is another one of the best
      const double action = planner_.candidates[i % 3];
      const auto [expected, earned] =
          Imagined(std::span(r.states).subspan(2 * t, 2), {action, action, action});
      EXPECT_EQ(Row(r.future_observations, 4 * t + i, 12), expected) << t << " " << i;
      EXPECT_FLOAT_EQ(r.future_returns[4 * t + i], static_cast<float>(earned));
    }
  }
}

TEST_F(EpisodeRecorderTest, FuturesWithoutCandidatesAreOfThePlan) {
  EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll, .futures = 2});
  Play(recorder, 1, 2);
  const EpisodeRecording r = folder_.Read(1);
  EXPECT_EQ(Row(r.future_observations, 3, 12), Row(r.imagined, 1, 12));
  EpisodeRecorder without = Recorder({.episodes = RecordedEpisodes::kAll, .futures = 0});
  Play(without, 2, 2);
  EXPECT_EQ(folder_.Read(2).futures, 0);
  EXPECT_THAT(folder_.Read(2).future_returns, IsEmpty());
}

TEST_F(EpisodeRecorderTest, StaysBelowItsBound) {
  // Steps and plans of 300 steps need 42 kB, what is imagined of plans 14 kB, futures 120 kB.
  for (const double mb : {0.3, 0.2, 0.15, 0.12}) {
    EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll, .mb = mb});
    planner_.candidates = {0.5, -0.25};
    Play(recorder, 1, 300);
    EXPECT_LE(fs::file_size(folder_.path() / folder_.Files()[0]), 1e6 * mb);
    const EpisodeRecording r = folder_.Read(1);
    EXPECT_LE(r.bytes(), 1e6 * mb);
    EXPECT_EQ(r.steps(), 300);
    EXPECT_EQ(r.plan_count(), 300);
    EXPECT_EQ(r.futures_every > 1, mb < 0.3);
    EXPECT_EQ(r.imagined_every, 1);
    const auto every = static_cast<size_t>(r.futures_every);
    ASSERT_EQ(r.future_returns.size(), 8 * ((300 + every - 1) / every));
    for (size_t row = 0; row * every < 300; ++row) {  // the plans that are left
      const auto [expected, earned] =
          Imagined(std::span(r.states).subspan(2 * row * every, 2), {0.5, 0.5, 0.5});
      EXPECT_EQ(Row(r.future_observations, 8 * row, 12), expected) << row;
    }
  }
}

TEST_F(EpisodeRecorderTest, BeyondItsBoundKeepsAllStepsAndPlansAndOneOfWhatWasImagined) {
  EpisodeRecorder recorder = Recorder({.episodes = RecordedEpisodes::kAll, .mb = 0.1});
  Play(recorder, 1, 400);
  const EpisodeRecording r = folder_.Read(1);
  EXPECT_EQ(r.steps(), 400);
  EXPECT_EQ(r.planned_actions.size(), 1200U);
  EXPECT_EQ(r.future_returns.size(), 8U);
  EXPECT_GT(r.imagined_every, 1);
  const auto every = static_cast<size_t>(r.imagined_every);
  EXPECT_EQ(r.imagined.size(), 12 * ((400 + every - 1) / every));
  for (size_t row = 0; row * every < 400; ++row) {
    EXPECT_EQ(r.imagined[12 * row], static_cast<float>(r.observations[3 * row * every])) << row;
  }
}

TEST_F(EpisodeRecorderTest, OfAllThatMayBeTheLastKeepsTheLast) {
  EpisodeRecorder recorder = Recorder({});
  Play(recorder, 1, 3, false);
  EXPECT_THAT(folder_.Files(), IsEmpty());
  Play(recorder, 2, 3);
  EXPECT_THAT(folder_.Files(), ElementsAre("episode_000002.safetensors.gz"));
  Play(recorder, 3, 4);
  EXPECT_THAT(folder_.Files(), ElementsAre("episode_000003.safetensors.gz"));
  EXPECT_EQ(folder_.Read(3).steps(), 4);
  EpisodeRecorder none = Recorder({.episodes = RecordedEpisodes::kNone});
  Play(none, 4, 3);
  EXPECT_THAT(folder_.Files(), ElementsAre("episode_000003.safetensors.gz"));
}

TEST_F(EpisodeRecorderTest, SaysWhatDiverged) {
  EpisodeRecorder recorder = Recorder({});
  Play(recorder, 1, 3, true, EpisodeEnd::kDiverged);
  const EpisodeRecording r = folder_.Read(1);
  EXPECT_EQ(r.end, "diverged");
  EXPECT_EQ(r.note, "qacc");
  EXPECT_EQ(r.ends.back(), StepEnd::kTruncated);  // as in the data
  Play(recorder, 2, 0, true, EpisodeEnd::kDiverged);
  EXPECT_THAT(folder_.Files(), ElementsAre("episode_000001.safetensors.gz"));  // nothing to record
}

TEST_F(EpisodeRecorderTest, GoesOnAfterAnEpisodeThatDidNotEnd) {
  EpisodeRecorder recorder = Recorder({});
  const auto system = task_.MakeSystem();
  Play(recorder, 1, 3);
  Plan plan;
  plan.actions = {1, 2, 3};
  recorder.OnEpisodeBegin({2, "test", *system, true});
  recorder.OnPlan({plan, planner_, std::vector<double>{0, 0}, {model_}});
  Play(recorder, 2, 3);  // anew
  EXPECT_EQ(folder_.Read(2).plan_count(), 3);
}

TEST(RemoveRecordings, AfterTheLastAndHalfWrittenOnes) {
  const Folder folder;
  fs::create_directories(folder.path());
  for (const char* name :
       {"episode_000001.safetensors.gz", "episode_000002.safetensors.gz",
        "episode_000003.safetensors.gz", "episode_1000000.safetensors.gz",
        "episode_000001.safetensors.gz.tmp", "episode_000003.safetensors.gz.tmp", "notes.txt"}) {
    WriteFileAtomically(folder.path() / name, "x");
  }
  RemoveRecordingsAfter(folder.path(), 2);
  EXPECT_THAT(folder.Files(), ElementsAre("episode_000001.safetensors.gz",
                                          "episode_000002.safetensors.gz", "notes.txt"));
  RemoveRecordingsAfter(folder.path() / "none", 2);
}

// --- in a run -----------------------------------------------------------------------------------

void Record(TestRun& test, const Folder& folder, const RecordOptions& options) {
  test.learner->AddObserver(
      std::make_shared<EpisodeRecorder>(test.loaded.first, test.run.seed, folder.path(), options));
}

/// What a run left: returns of its episodes, and the model.
std::pair<std::vector<double>, TensorFile> Left(TestRun& test) {
  std::vector<double> returns;
  for (const EpisodeRow& row : test.log.episodes()) returns.push_back(row.episode_return);
  return {returns, test.learner->Model()};
}

TEST(RecordedRun, IsTheSameBitForBit) {
  const Folder folder;
  TestRun plain(Episodes(3));
  TestRun recorded(Episodes(3));
  Record(recorded, folder, {.episodes = RecordedEpisodes::kAll});
  plain.learner->Run();
  recorded.learner->Run();
  const auto [returns, model] = Left(plain);
  const auto [recorded_returns, recorded_model] = Left(recorded);
  EXPECT_EQ(returns, recorded_returns);
  for (const auto& [name, tensor] : model.tensors) {
    EXPECT_EQ(tensor.values, recorded_model.tensors.at(name).values) << name;
  }
  EXPECT_EQ(folder.Files().size(), 3U);
}

TEST(RecordedRun, HoldsTheTransitionsOfTheData) {
  const Folder folder;
  TestRun test(Episodes(3));
  Record(test, folder, {.episodes = RecordedEpisodes::kAll});
  test.learner->Run();
  const Dataset& data = test.learner->data();
  int64_t row = 0;
  for (int episode = 1; episode <= 3; ++episode) {
    const EpisodeRecording r = folder.Read(episode);
    EXPECT_EQ(r.controller, episode == 1 ? "uniform" : "mpc");
    EXPECT_EQ(r.episode_return,
              test.log.episodes()[static_cast<size_t>(episode - 1)].episode_return);
    for (int64_t t = 0; t < r.steps(); ++t, ++row) {
      const auto at = static_cast<size_t>(t);
      ASSERT_EQ(data.episode(row), episode);
      EXPECT_TRUE(
          std::ranges::equal(data.observation(row), std::span(r.observations).subspan(4 * at, 4)));
      EXPECT_TRUE(std::ranges::equal(data.next_observation(row),
                                     std::span(r.observations).subspan(4 * at + 4, 4)));
      EXPECT_EQ(data.action(row)[0], r.actions[at]);
      EXPECT_EQ(data.reward(row), r.rewards[at]);
      EXPECT_EQ(data.end(row), r.ends[at]);
      if (episode == 1) continue;
      // Every plan begins at what is observed then, and its first action is executed.
      EXPECT_EQ(r.plans[at], t);
      EXPECT_EQ(r.first_steps[at], t);
      EXPECT_EQ(r.planned_actions[4 * at], static_cast<float>(r.actions[at]));
      for (size_t i = 0; i < 4; ++i) {
        const auto observed = static_cast<float>(r.observations[4 * at + i]);
        EXPECT_EQ(r.imagined[20 * at + i], observed);
        for (size_t future = 0; future < 8; ++future) {
          EXPECT_EQ(r.future_observations[20 * (8 * at + future) + i], observed);
        }
      }
    }
    EXPECT_EQ(r.plan_count(), episode == 1 ? 0 : 25);
  }
  EXPECT_EQ(row, data.size());
}

/// Predictions along a plan, by the very version of the model that made it.
TEST(RecordedRun, ImaginesWithTheVersionThatPlanned) {
  struct Watcher final : RunObserver {
    void OnPlan(const MadePlan& made) override {
      std::vector<double> state(made.state.begin(), made.state.end());
      std::vector<double> next(state.size());
      const auto workspace = made.model.dynamics->MakeDerivativeWorkspace(1);
      made.model.dynamics->StepMean({.rows = 1,
                                     .state = state.data(),
                                     .action = made.plan.actions.data(),
                                     .next_state = next.data(),
                                     .key = {}},
                                    *workspace);
      after_one_step.insert(after_one_step.end(), next.begin(), next.end());
      versions.push_back(made.model.dynamics);
    }
    std::vector<float> after_one_step;
    std::vector<std::shared_ptr<const Dynamics>> versions;
  };
  const Folder folder;
  TestRun test(Episodes(2));  // fitted every ten steps
  Record(test, folder, {.episodes = RecordedEpisodes::kAll});
  const auto watcher = std::make_shared<Watcher>();
  test.learner->AddObserver(watcher);
  test.learner->Run();
  const EpisodeRecording r = folder.Read(2);
  ASSERT_EQ(watcher->after_one_step.size(), 100U);
  for (size_t plan = 0; plan < 25; ++plan) {
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(r.imagined[20 * plan + 4 + i], watcher->after_one_step[4 * plan + i]);
    }
  }
  EXPECT_NE(watcher->versions.front(), watcher->versions.back());
}

TEST(RecordedRun, OfAllLoopsRecordsTheLastEpisode) {
  struct Loop {
    std::string algorithm;
    bool plans;
  };
  for (const auto& [algorithm, plans] :
       {Loop{"fit_then_plan", true}, Loop{"aggregate", true}, Loop{"policy_backprop", false}}) {
    const Folder folder;
    TestRun test(Episodes(3, algorithm), 1,
                 {algorithm + (plans ? ".horizon=5" : ".train_every=0"),
                  "policy_backprop.training.steps=2", "policy_backprop.training.starts=4"});
    Record(test, folder, {});
    test.learner->Run();
    ASSERT_EQ(test.log.episodes().size(), 3U) << algorithm;
    EXPECT_THAT(folder.Files(), ElementsAre("episode_000003.safetensors.gz")) << algorithm;
    EXPECT_EQ(folder.Read(3).plan_count(), plans ? 5 : 0) << algorithm;
  }
  const Folder folder;
  const TestTask pendulum{"pendulum",
                          {"episode_length=30", "system.reset.velocity=0.1",
                           "conditions.set=['system.reset.position=0.1']",
                           "local_models.rollouts=6", "local_models.initial=\"pd\""}};
  TestRun test(Episodes(7, "local_models"), 1, {}, pendulum);
  Record(test, folder, {});
  test.learner->Run();
  // Rounds of six: the run ends with its twelfth episode.
  EXPECT_THAT(folder.Files(), ElementsAre("episode_000012.safetensors.gz"));
}

TEST(RecordedRun, BoundedByStepsRecordsTheEpisodeThatReachesThem) {
  RunOptions run;
  run.steps = 60;
  const Folder folder;
  TestRun test(run);
  Record(test, folder, {});
  test.learner->Run();
  EXPECT_THAT(folder.Files(), ElementsAre("episode_000003.safetensors.gz"));
  EXPECT_EQ(folder.Read(3).steps(), 10);
  EXPECT_EQ(folder.Read(3).end, "cut_off");
}

}  // namespace
}  // namespace foreplan

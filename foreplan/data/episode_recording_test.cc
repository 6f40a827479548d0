#include "foreplan/data/episode_recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/safetensors.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const std::string& TestFile() {
  static const std::string kFile = testing::TempDir() + "/episode.safetensors.gz";
  return kFile;
}

/// Three steps of a mass in two components; plans of two steps at steps 0 and 2, both imagined; two
/// futures of the first.
EpisodeRecording Small() {
  EpisodeRecording r;
  r.program = "0.1.0";
  r.task = "mass";
  r.controller = "mpc";
  r.episode = 12;
  r.seed = 3;
  r.dt = 0.1;
  r.observation = {{"position", "m"}, {"velocity", "m/s"}};
  r.action = {{"force", "N"}};
  r.state = {{"position", "m"}};
  r.episode_return = 6;
  r.end = "diverged";
  r.note = "step 3: \"velocity\" is nan\n";
  r.observations = {0, 1, 2, 3, 4, 5, 6, 7};
  r.states = {0, 2, 4, 6};
  r.actions = {0.25, 0.5, 0.75};
  r.rewards = {1, 2, 3};
  r.ends = {StepEnd::kContinues, StepEnd::kContinues, StepEnd::kTruncated};
  r.horizon = 2;
  r.plans = {0, 0, 1};
  r.first_steps = {0, 2};
  r.planned_actions = {0.25F, 0.5F, 0.75F, 1};
  r.expected_returns = {-kInfinity, 2.5};
  r.imagined = {0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9};
  r.futures_every = 2;
  r.futures = 2;
  r.future_observations = {0, 1, 2, 3, 4, 5, 0, 1, 1, 1, 1, 1};
  r.future_returns = {7, -std::numeric_limits<float>::infinity()};
  return r;
}

void ExpectEqual(const EpisodeRecording& a, const EpisodeRecording& b) {
  const auto text = [](const EpisodeRecording& r) {
    std::string all = r.program + "|" + r.task + "|" + r.controller + "|" + r.end + "|" + r.note;
    for (const auto* components : {&r.observation, &r.action, &r.state}) {
      for (const Component& component : *components) {
        all += "|" + component.name + " " + component.unit;
      }
    }
    return all;
  };
  EXPECT_EQ(text(a), text(b));
  EXPECT_EQ(
      std::vector({a.episode, a.seed, a.horizon, a.imagined_every, a.futures_every, a.futures}),
      std::vector({b.episode, b.seed, b.horizon, b.imagined_every, b.futures_every, b.futures}));
  EXPECT_EQ(std::vector({a.dt, a.episode_return}), std::vector({b.dt, b.episode_return}));
  EXPECT_EQ(a.observations, b.observations);
  EXPECT_EQ(a.states, b.states);
  EXPECT_EQ(a.actions, b.actions);
  EXPECT_EQ(a.rewards, b.rewards);
  EXPECT_EQ(a.ends, b.ends);
  EXPECT_EQ(a.plans, b.plans);
  EXPECT_EQ(a.first_steps, b.first_steps);
  EXPECT_EQ(a.planned_actions, b.planned_actions);
  EXPECT_EQ(a.expected_returns, b.expected_returns);
  EXPECT_EQ(a.imagined, b.imagined);
  EXPECT_EQ(a.future_observations, b.future_observations);
  EXPECT_EQ(a.future_returns, b.future_returns);
}

/// The message that refuses the small recording's file after `change`.
std::string RefusalAfter(const std::function<void(TensorFile&)>& change) {
  WriteEpisodeRecording(TestFile(), Small());
  TensorFile file = ParseTensors(Gunzip(ReadFile(TestFile()), 1'000'000, "x"), "x");
  change(file);
  WriteFileAtomically(TestFile(), GzipOf(SerializeTensors(file, "x")));
  std::string message = MessageOf([] { ReadEpisodeRecording(TestFile()); });
  if (const size_t at = message.find(TestFile()); at != std::string::npos) {
    message.erase(at, TestFile().size());
  }
  return message;
}

/// The same after a change of what the metadata's document says.
std::string RefusalAfterSaying(const char* key, const nlohmann::json& value) {
  return RefusalAfter([&](TensorFile& file) {
    nlohmann::json json = nlohmann::json::parse(file.metadata.at("episode"));
    json[key] = value;
    file.metadata["episode"] = json.dump();
  });
}

TEST(EpisodeRecording, ReadsWhatWasWritten) {
  const EpisodeRecording recording = Small();
  WriteEpisodeRecording(TestFile(), recording);
  ExpectEqual(ReadEpisodeRecording(TestFile()), recording);
  const std::string bytes = ReadFile(TestFile());
  WriteEpisodeRecording(TestFile(), recording);
  EXPECT_EQ(ReadFile(TestFile()), bytes);
  EXPECT_FALSE(std::filesystem::exists(TestFile() + ".tmp"));
}

TEST(EpisodeRecording, WithoutStateAndPlansHasNoTensorsOfThem) {
  EpisodeRecording recording = Small();
  recording.state.clear();
  recording.states.clear();
  recording.horizon = recording.futures = 0;
  recording.futures_every = 1;
  recording.plans.clear();
  recording.first_steps.clear();
  recording.expected_returns.clear();
  for (auto* values : {&recording.planned_actions, &recording.imagined,
                       &recording.future_observations, &recording.future_returns}) {
    values->clear();
  }
  WriteEpisodeRecording(TestFile(), recording);
  ExpectEqual(ReadEpisodeRecording(TestFile()), recording);
  const TensorFile file = ParseTensors(Gunzip(ReadFile(TestFile()), 1'000'000, "x"), "x");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"action", "end", "observation", "reward", "time"}));
}

TEST(EpisodeRecording, KeepsWhereItWasExpectedToGo) {
  EpisodeRecording recording = Small();
  const size_t no = recording.observation.size();
  recording.expected_mean.assign(2 * no, 0.5);
  recording.expected_covariance.assign(2 * no * no, 0.25);
  recording.expected_covariance[1] = 0.125;
  WriteEpisodeRecording(TestFile(), recording);
  const EpisodeRecording read = ReadEpisodeRecording(TestFile());
  EXPECT_EQ(read.expected_mean, recording.expected_mean);
  EXPECT_EQ(read.expected_covariance, recording.expected_covariance);
}

TEST(EpisodeRecording, RefusesADistributionOfMoreSteps) {
  const auto no = std::ssize(Small().observation);
  const int64_t frames = Small().steps() + 1;
  const auto refusal = [&](int64_t means, int64_t covariances) {
    return RefusalAfter([&](TensorFile& file) {
      file.tensors["distribution.mean"] = {{means, no},
                                           std::vector<double>(static_cast<size_t>(means * no))};
      file.tensors["distribution.covariance"] = {
          {covariances, no, no}, std::vector<double>(static_cast<size_t>(covariances * no * no))};
    });
  };
  EXPECT_EQ(refusal(frames, frames), "");
  EXPECT_THAT(refusal(frames + 1, frames + 1), HasSubstr("'distribution.mean': found"));
  EXPECT_THAT(refusal(0, 0), HasSubstr("'distribution.mean': found 0 steps"));
  EXPECT_THAT(refusal(2, 1), HasSubstr("'distribution.covariance': found"));
}

TEST(EpisodeRecording, RefusesAnotherFormat) {
  EXPECT_EQ(RefusalAfter([](TensorFile& file) { file.metadata.clear(); }),
            ": metadata 'format': found nothing, expected a recording of foreplan");
  EXPECT_EQ(RefusalAfter([](TensorFile& file) { file.metadata["format"] = "x"; }),
            ": metadata 'format': found 'x', expected 'foreplan.episode'");
  EXPECT_EQ(RefusalAfter([](TensorFile& file) { file.metadata["version"] = "2"; }),
            ": metadata 'version': found '2', expected '1': another version of foreplan wrote it");
  EXPECT_THAT(RefusalAfter([](TensorFile& file) { file.metadata["episode"] = "["; }),
              HasSubstr(": metadata 'episode': found no JSON object"));
}

TEST(EpisodeRecording, RefusesWrongMetadata) {
  EXPECT_EQ(RefusalAfterSaying("dt", "x"), ": metadata 'dt': found \"x\", expected a number");
  EXPECT_THAT(RefusalAfterSaying("dt", 0), HasSubstr("metadata 'dt': found 0 or less"));
  EXPECT_THAT(RefusalAfterSaying("steps", 0), HasSubstr("metadata 'steps': found 0"));
  EXPECT_THAT(RefusalAfterSaying("steps", 1e99), HasSubstr("metadata 'steps': found 1e+99"));
  EXPECT_THAT(RefusalAfterSaying("task", nullptr), HasSubstr("metadata 'task': found null"));
  EXPECT_THAT(RefusalAfterSaying("observation", nlohmann::json::array()),
              HasSubstr("metadata 'observation': found [], expected at least one"));
  EXPECT_THAT(RefusalAfterSaying("state", {{{"name", "x"}}}),
              HasSubstr("metadata 'state': found [{\"name\":\"x\"}], expected a list"));
  EXPECT_THAT(RefusalAfterSaying("imagined_every", 0), HasSubstr("'imagined_every': found 0"));
  EXPECT_THAT(RefusalAfterSaying("steps", 4), HasSubstr("tensor 'time': found F64 [4], expected"));
}

TEST(EpisodeRecording, RefusesTensorsOfOtherShapes) {
  for (const char* name : {"time", "observation", "state", "action", "reward", "end", "plan",
                           "plan.first_step", "plan.action", "plan.expected_return",
                           "plan.observation", "future.observation", "future.return"}) {
    // One row more of every size, and one dimension more.
    EXPECT_THAT(RefusalAfter([&](TensorFile& file) {
                  Tensor& tensor = file.tensors.at(name);
                  tensor.shape.push_back(1);
                }),
                HasSubstr(std::string("tensor '") + name + "': found "))
        << name;
    const std::string longer = RefusalAfter([&](TensorFile& file) {
      Tensor& tensor = file.tensors.at(name);
      std::visit(
          [&](auto& values) {
            const auto row = values.size() / static_cast<size_t>(tensor.shape[0]);
            values.resize(values.size() + row);
          },
          tensor.values);
      ++tensor.shape[0];
    });
    EXPECT_THAT(longer, HasSubstr(": tensor '")) << name;
  }
  EXPECT_THAT(RefusalAfter([](TensorFile& file) {
                file.tensors["plan.action"] = {{2, 0, 1}, std::vector<float>{}};
              }),
              HasSubstr("tensor 'plan.action': found 2 plans of 0 steps"));
}

TEST(EpisodeRecording, RefusesNumbersThatAreNone) {
  const auto with = [](const char* name, double value) {
    return RefusalAfter([&](TensorFile& file) {
      std::visit(
          [&](auto& values) {
            using Value = typename std::decay_t<decltype(values)>::value_type;
            values.back() = static_cast<Value>(value);
          },
          file.tensors.at(name).values);
    });
  };
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const char* name : {"time", "observation", "state", "action", "reward", "plan.action",
                           "plan.observation", "future.observation"}) {
    EXPECT_THAT(with(name, kNan), HasSubstr(std::string("tensor '") + name + "', element")) << name;
    EXPECT_THAT(with(name, -kInfinity), HasSubstr(std::string("tensor '") + name)) << name;
  }
  for (const char* name : {"plan.expected_return", "future.return"}) {
    EXPECT_EQ(with(name, -kInfinity), "") << name;  // not known
    EXPECT_THAT(with(name, kNan), HasSubstr("found nan, expected a number, or -infinity"));
    EXPECT_THAT(with(name, kInfinity), HasSubstr("found inf, expected a number, or -infinity"));
  }
}

TEST(EpisodeRecording, RefusesEndsAndPlansInTheWrongPlace) {
  const auto with = [](const char* name, std::vector<int32_t> values) {
    return RefusalAfter([&](TensorFile& file) { file.tensors.at(name).values = values; });
  };
  EXPECT_EQ(with("end", {0, 1, 1}), ": tensor 'end', element 1: found 1, expected 0");
  EXPECT_THAT(with("end", {0, 0, 0}), HasSubstr("element 2: found 0, expected 1 or 2"));
  EXPECT_THAT(with("end", {0, 0, 3}), HasSubstr("element 2: found 3"));
  EXPECT_EQ(with("end", {0, 0, 1}), "");
  EXPECT_EQ(with("plan", {-1, -1, 1}), "");
  EXPECT_THAT(with("plan", {0, 1, 1}), HasSubstr("'plan', element 1: found 1"));  // made at step 2
  EXPECT_THAT(with("plan", {0, -1, 1}), HasSubstr("'plan', element 1: found -1"));
  EXPECT_THAT(with("plan", {0, 0, 2}), HasSubstr("'plan', element 2: found 2, expected one of"));
  EXPECT_THAT(with("plan", {0, 0, -2}), HasSubstr("element 2: found -2"));
  EXPECT_THAT(with("plan.first_step", {-1, 2}), HasSubstr("'plan.first_step', element 0"));
}

TEST(EpisodeRecording, RefusesAFileThatIsCutOffOrNotPacked) {
  WriteEpisodeRecording(TestFile(), Small());
  const std::string bytes = ReadFile(TestFile());
  for (size_t size = 0; size < bytes.size(); ++size) {
    WriteFileAtomically(TestFile(), bytes.substr(0, size));
    EXPECT_THAT(MessageOf([] { ReadEpisodeRecording(TestFile()); }),
                HasSubstr(TestFile() + ": found"))
        << size;
  }
  WriteFileAtomically(TestFile(), Gunzip(bytes, 1'000'000, "x"));
  EXPECT_THAT(MessageOf([] { ReadEpisodeRecording(TestFile()); }), HasSubstr("no gzip stream"));
}

TEST(EpisodeRecording, IsDataLikeOtherLogs) {
  WriteEpisodeRecording(TestFile(), Small());
  const Recording all = ReadRecording(TestFile(), {});
  ASSERT_EQ(all.data.size(), 3);
  EXPECT_EQ(all.observation, (std::vector<std::string>{"position", "velocity"}));
  EXPECT_EQ(all.dt, 0.1);
  EXPECT_EQ(all.data.observation(1)[0], 2);
  EXPECT_EQ(all.data.next_observation(1)[1], 5);
  EXPECT_EQ(all.data.action(2)[0], 0.75);
  EXPECT_EQ(all.data.reward(2), 3);
  EXPECT_EQ(all.data.end(2), StepEnd::kTruncated);
  EXPECT_EQ(all.PlaceOf(1), "step 1 of episode 1 of 1");

  RecordingColumns columns;
  columns.observation = {"velocity"};
  columns.action = {"force"};
  const Recording chosen = ReadRecording(TestFile(), columns);
  EXPECT_EQ(chosen.data.observation_dim(), 1);
  EXPECT_EQ(chosen.data.observation(1)[0], 3);
  EXPECT_EQ(chosen.data.next_observation(2)[0], 7);

  columns.action = {"torque"};
  EXPECT_THAT(MessageOf([&] { ReadRecording(TestFile(), columns); }),
              HasSubstr(": action: found no component 'torque', expected it among"));
  columns.action = {"force"};
  columns.dt = 0.05;
  EXPECT_THAT(MessageOf([&] { ReadRecording(TestFile(), columns); }),
              HasSubstr("metadata 'dt': found 0.1 s, expected 0.05 s within 10 %"));
}

}  // namespace
}  // namespace foreplan

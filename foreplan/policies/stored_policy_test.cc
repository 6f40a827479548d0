#include "foreplan/policies/stored_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/policies/policy_of_subject.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using Numbers = std::vector<double>;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kSquashedOptions =
    "[actor_critic.policy]\nhidden_layers = 1\nwidth = 8\nomit = [\"rate\"]\n";
// As versions before wrote it.
constexpr const char* kNetworkOptions =
    "[policy_backprop.policy]\nhidden_layers = 1\nwidth = 8\nkernel = \"auto\"\nomit = []\n";

/// Its model sees what only its task knows the meaning of.
ModelSubject Subject() {
  EnvironmentSpec spec;
  spec.dt = 0.05;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"rate", "rad/s"}, {"still", ""}};
  spec.action = {{"push", "N"}, {"turn", ""}};
  spec.action_low = {-1, 0.5};
  spec.action_high = {2, 0.75};
  return {spec, Encoding{.sin_cos = {"angle"}, .omit = {"still"}, .input_texts = {"payload * x"}}};
}

SquashedGaussianPolicy MakeSquashed() {
  SquashedGaussianPolicy policy =
      MakeSquashedPolicy(Subject(), {.hidden_layers = 1, .width = 8, .omit = {"rate"}}, Key{5, 5});
  Normaliser normaliser(3);  // x, sin, cos
  normaliser.mean = {0.5, 0, 0.25};
  normaliser.scale = {0.5, 1, 2};
  policy.Rescale(normaliser);
  return policy;
}

NetworkPolicy MakeNetwork() {
  NetworkPolicy policy = MakeBackpropPolicy(Subject(), {.hidden_layers = 1, .width = 8}, Key{6, 6});
  policy.input_normaliser().mean = {0.5, 0, 0, 0.25, 1};  // x, sin, cos, rate, still
  policy.input_normaliser().scale = {0.5, 1, 1, 2, 3};
  Eigen::Matrix2d covariance;
  covariance << 0.01, 0.002, 0.002, 0.001;
  policy.set_covariance(covariance);
  return policy;
}

template <typename Learned>
TensorFile FileOf(const Learned& policy, const std::string& options) {
  TensorFile file;
  file.source = "run-policy.safetensors";
  WriteSubject(Subject(), file);
  file.metadata["options"] = options;
  policy.Save("policy.", file);
  return file;
}

/// Both act alike to the bit.
void ExpectEqual(Policy& found, Policy& expected) {
  Random random(Key{7, 7});
  for (uint64_t i = 0; i < 10; ++i) {
    const Numbers observation = {random.Normal(), 3 * random.Normal(), random.Normal(), 1};
    const Situation situation{.observation = observation, .time = 0, .key = Key{8, i}};
    Numbers action(2);
    Numbers of_expected(2);
    found.Act(situation, action);
    expected.Act(situation, of_expected);
    EXPECT_EQ(action, of_expected);
  }
}

void ExpectActsAs(const StoredPolicy& stored, const SquashedGaussianPolicy& policy) {
  SquashedActor mean(policy, PolicyAction::kMean);
  SquashedActor sampled(policy, PolicyAction::kSampled);
  ExpectEqual(*stored.MakeActor(PolicyAction::kMean), mean);
  ExpectEqual(*stored.MakeActor(PolicyAction::kSampled), sampled);
}

TEST(StoredPolicy, ASquashedPolicyActsAsTheOneThatWasSaved) {
  const SquashedGaussianPolicy policy = MakeSquashed();
  ExpectActsAs(StoredPolicy(FileOf(policy, kSquashedOptions)), policy);
}

TEST(StoredPolicy, ANetworkPolicyActsAsTheOneThatWasSaved) {
  NetworkPolicy policy = MakeNetwork();
  const StoredPolicy stored(FileOf(policy, kNetworkOptions));
  MeanPolicy mean(policy);
  ExpectEqual(*stored.MakeActor(PolicyAction::kMean), mean);
  ExpectEqual(*stored.MakeActor(PolicyAction::kSampled), policy);
}

TEST(StoredPolicy, AnActorOutlivesWhatMadeIt) {
  const SquashedGaussianPolicy policy = MakeSquashed();
  std::unique_ptr<Policy> actor;
  {
    const StoredPolicy stored(FileOf(policy, kSquashedOptions));
    actor = stored.MakeActor(PolicyAction::kMean);
  }
  SquashedActor mean(policy, PolicyAction::kMean);
  ExpectEqual(*actor, mean);
}

TEST(StoredPolicy, SaysWhatItSeesAndDoes) {
  const StoredPolicy stored(FileOf(MakeSquashed(), kSquashedOptions));
  EXPECT_EQ(stored.spec().observation[3].name, "still");
  EXPECT_EQ(stored.spec().observation[2].unit, "rad/s");
  EXPECT_EQ(stored.spec().action[1].name, "turn");
  EXPECT_EQ(stored.spec().action_low, (Numbers{-1, 0.5}));
  EXPECT_EQ(stored.spec().action_high, (Numbers{2, 0.75}));
  EXPECT_EQ(stored.spec().dt, 0.05);
}

TEST(StoredPolicy, WhatIsWrittenOfItOpensAgain) {
  const SquashedGaussianPolicy policy = MakeSquashed();
  TensorFile of_run = FileOf(policy, kSquashedOptions);
  of_run.tensors["critic.parameters"] = {{1}, std::vector<float>{1}};
  const StoredPolicy stored(of_run);
  const std::string bytes = SerializeTensors(stored.file(), "policy");
  const StoredPolicy again(ParseTensors(bytes, "again"));
  ExpectActsAs(again, policy);
  EXPECT_EQ(SerializeTensors(again.file(), "again"), bytes);
  EXPECT_FALSE(stored.file().tensors.contains("critic.parameters"));
}

TEST(StoredPolicy, OpensTheFolderOfARunAndTheFileInIt) {
  const SquashedGaussianPolicy policy = MakeSquashed();
  const fs::path run = fs::path(testing::TempDir()) / "stored_policy_run";
  fs::remove_all(run);
  fs::create_directories(run / "model");
  // Of the model alone.
  WriteTensors(run / "model" / "model.safetensors", FileOf(policy, "[model]\nwidth = 4\n"));
  EXPECT_THAT(MessageOf([&] { static_cast<void>(StoredPolicy::Open(run)); }),
              HasSubstr("config.toml"));
  EXPECT_THAT(MessageOf([&] {
                static_cast<void>(StoredPolicy::Open(run / "model" / "model.safetensors"));
              }),
              AllOf(HasSubstr("model.safetensors: metadata 'options': found no section "
                              "[actor_critic.policy]"),
                    HasSubstr("the folder of its run")));
  std::ofstream(run / "config.toml") << kSquashedOptions;
  ExpectActsAs(StoredPolicy::Open(run), policy);
  ExpectActsAs(StoredPolicy::Open(run / "model" / "model.safetensors"), policy);
  WriteTensors(run / "exported.safetensors", StoredPolicy::Open(run).file());
  ExpectActsAs(StoredPolicy::Open(run / "exported.safetensors"), policy);
  fs::remove_all(run);
}

/// Of an exported file that `spoil` has changed.
std::string RefusalOf(const std::function<void(TensorFile&)>& spoil) {
  TensorFile file = FileOf(MakeSquashed(), kSquashedOptions);
  spoil(file);
  std::string message = MessageOf([&] { static_cast<void>(StoredPolicy(file)); });
  EXPECT_THAT(message, HasSubstr("run-policy.safetensors: "));
  return message;
}

TEST(StoredPolicy, SaysWhatIsWrong) {
  EXPECT_THAT(RefusalOf([](TensorFile& file) { file.tensors.clear(); }),
              HasSubstr("found no tensors 'policy.*', expected"));
  EXPECT_THAT(RefusalOf([](TensorFile& file) { file.metadata.erase("options"); }),
              HasSubstr("found no metadata 'options', expected"));
  EXPECT_THAT(RefusalOf([](TensorFile& file) { file.metadata.erase("subject"); }),
              HasSubstr("found no metadata 'subject', expected"));
  EXPECT_THAT(RefusalOf([](TensorFile& file) { file.metadata["options"] = kNetworkOptions; }),
              HasSubstr("metadata 'options': found no section [actor_critic.policy], expected"));
  EXPECT_THAT(
      RefusalOf([](TensorFile& file) {
        file.metadata["options"] = "[actor_critic.policy]\nwidth = 0\n";
      }),
      AllOf(HasSubstr("actor_critic.policy.width"), HasSubstr("found integer 0, expected")));
  EXPECT_THAT(RefusalOf([](TensorFile& file) {
                file.metadata["options"] = "[actor_critic.policy]\nomit = [\"Angle\"]\n";
              }),
              HasSubstr("actor_critic.policy.omit: unknown observation component 'Angle'"));
  EXPECT_THAT(RefusalOf([](TensorFile& file) {
                file.metadata["options"] = "[actor_critic.policy]\nhidden_layers = 1\nwidth = 8\n";
              }),
              AllOf(HasSubstr("'policy.parameters'"), HasSubstr("found"), HasSubstr("expected")));
  EXPECT_THAT(RefusalOf([](TensorFile& file) {
                std::get<Numbers>(file.tensors["policy.input_mean"].values)[1] =
                    std::numeric_limits<double>::infinity();
              }),
              HasSubstr("'policy.input_mean'"));
  EXPECT_THAT(RefusalOf([](TensorFile& file) {
                ModelSubject subject = Subject();
                subject.spec.action_high[1] = 0.5;
                WriteSubject(subject, file);
              }),
              HasSubstr("bounds of action 1: found 0.5 ... 0.5, expected finite low < high"));
}

}  // namespace
}  // namespace foreplan

// What the program makes of a policy that a run learned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using testing::HasSubstr;

class LearnedPolicy : public ProgramTest {
 protected:
  /// Three episodes of 12 steps, the first by the base policy.
  void Learn(const std::string& algorithm) const {
    std::vector<std::string> arguments = {
        "run", "pilco_cartpole", "--algorithm", algorithm, "--episodes",
        "3",   "--seed",         "3",           "--out",   "run"};
    for (const char* assignment :
         {"episode_length=12", "model.width=8", "model.members=2", "model.propagation=ts_1",
          "fit.min_steps=5", "fit.max_steps=5", "actor_critic.base_steps=12",
          "actor_critic.train_every=12", "actor_critic.pool=200", "actor_critic.pool_updates=3",
          "actor_critic.policy.width=8", "actor_critic.critic.width=8",
          "actor_critic.training.batch=10", "actor_critic.training.particles=2",
          "policy_backprop.policy.width=8", "policy_backprop.training.steps=3"}) {
      arguments.insert(arguments.end(), {"--set", assignment});
    }
    const ProgramResult result = RunProgram(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  [[nodiscard]] nlohmann::json Evaluated(const std::vector<std::string>& more) const {
    return Answer(Concatenated({"eval", "run", "--episodes", "3"}, more))["rows"][0];
  }
};

class OfEveryAlgorithm : public LearnedPolicy, public testing::WithParamInterface<const char*> {};

TEST_P(OfEveryAlgorithm, IsExportedToAFileThatStandsAlone) {
  Learn(GetParam());
  const nlohmann::json file =
      Answer({"export", "run", "--format", "safetensors", "--what", "policy"});
  EXPECT_EQ(file["file"], "run-policy.safetensors");
  EXPECT_EQ(file["subject"]["action"].size(), 1U);
  static_cast<void>(Answer({"export", "run", "--format", "onnx", "--what", "policy"}));
  static_cast<void>(Answer({"export", "run-policy.safetensors", "--format", "onnx", "--what",
                            "policy", "--out", "of_file.onnx"}));
  EXPECT_EQ(FileText(work() / "of_file.onnx"), FileText(work() / "run-policy.onnx"));
  const bool has_covariance = GetParam() == std::string("policy_backprop");
  EXPECT_THAT(FileText(work() / "of_file.onnx"),
              HasSubstr(has_covariance ? "covariance" : "deviation"));
}

INSTANTIATE_TEST_SUITE_P(Learners, OfEveryAlgorithm,
                         testing::Values("dhmbpo", "mbpo", "policy_backprop", "sac", "svg"));

TEST_F(LearnedPolicy, IsEvaluatedByItsMeanActionOrWithItsNoise) {
  Learn("sac");
  const nlohmann::json mean = Evaluated({"--actor", "policy"});
  const nlohmann::json sampled = Evaluated({"--actor", "sampled"});
  EXPECT_EQ(mean["controller"], "learned");
  EXPECT_EQ(sampled["controller"], "sampled");
  EXPECT_EQ(Evaluated({})["episode_returns"], mean["episode_returns"]);
  EXPECT_EQ(Evaluated({"--actor", "sampled"})["episode_returns"], sampled["episode_returns"]);
  EXPECT_NE(sampled["episode_returns"], mean["episode_returns"]);
  // Both are kept for the report, apart.
  const auto kept = [&](const char* name) {
    return nlohmann::json::parse(FileText(work() / "run/evaluation" / name))["episode_returns"];
  };
  EXPECT_EQ(kept("learned.json"), mean["episode_returns"]);
  EXPECT_EQ(kept("sampled.json"), sampled["episode_returns"]);
  EXPECT_THAT(RunProgram({"eval", "run", "--actor", "sampled", "--episodes", "1"}).out,
              HasSubstr("learned policy, sampled"));
}

TEST_F(LearnedPolicy, WhereThereIsNoneNoneActs) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const std::vector<std::string> before = Files();
  EXPECT_THAT(Refusal({"eval", "run", "--actor", "policy"}),
              HasSubstr("--actor: found 'run', a run of 'mpc', which learned no policy of the "
                        "observation; expected one of dhmbpo, mbpo, "));
  EXPECT_THAT(Refusal({"eval", "cartpole_closed_form", "--actor", "sampled"}),
              HasSubstr("--actor: found it with 'cartpole_closed_form', expected the folder of a "
                        "run"));
  EXPECT_THAT(Refusal({"eval", "run", "--actor", "mean"}),
              HasSubstr("--actor: found 'mean', expected policy, sampled"));
  EXPECT_EQ(Files(), before);
}

TEST_F(LearnedPolicy, WithoutAModelIsNoModel) {
  Learn("sac");
  EXPECT_THAT(FileText(work() / "run/config.toml"), testing::Not(HasSubstr("[model]")));
  const ProgramResult result = RunProgram({"export", "run", "--format", "safetensors"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("model.safetensors: found no tensors of a model, expected "
                                    "those of a fit or of a run that fits one"));
}

TEST_F(LearnedPolicy, IsNotPutIntoAnotherTask) {
  Learn("sac");
  EXPECT_THAT(Refusal({"eval", "run", "--actor", "sampled", "--set", "encoding.sin_cos=[]"}),
              HasSubstr("found a model learned with encoding.sin_cos = ["));
}

}  // namespace
}  // namespace foreplan::apps

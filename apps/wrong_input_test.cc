// Whatever the user gets wrong ends with one clear line, its exit code, and nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using WrongInput = ProgramTest;

struct Case {
  std::vector<std::string> arguments;
  std::vector<std::string> fragments;  // of the message
};

constexpr const char* kTask = "cartpole_closed_form";

std::vector<Case> Cases() {
  return {
      // Commands and flags.
      {{}, {"expected a command"}},
      {{"rnu", kTask}, {"unknown command 'rnu'", "did you mean 'run'"}},
      {{"run"}, {"expected a task or --resume"}},
      {{"compare"}, {"compare: expected TASK|RUN...|lecture;", "'foreplan compare --help'"}},
      {{"fit"}, {"fit: expected FILE|RUN;"}},
      {{"plan"}, {"found neither a task nor --model"}},
      {{"tune"}, {"found neither a task nor --model"}},
      {{"bench"}, {"bench: expected planning|"}},
      {{"run", kTask, "--bogus"}, {"run: unknown flag '--bogus'; 'foreplan run --help'"}},
      {{"eval", kTask, "--sed=3"}, {"eval: unknown flag '--sed' (did you mean '--seed'?)"}},
      {{"run", kTask, "--episodes", "5", "--steps", "100"}, {"--episodes", "--steps"}},
      {{"run", kTask, "--episodes", "0"},
       {"--episodes", "found '0'", "expected an integer from 1"}},
      {{"run", kTask, "--episodes", "two"}, {"--episodes", "found 'two'", "expected an integer"}},
      {{"run", kTask, "--steps", "-5"}, {"--steps", "found '-5'", "expected an integer from 1"}},
      {{"run", kTask, "--seed", "1.5"}, {"--seed", "found '1.5'", "expected an integer from 0"}},
      {{"run", kTask, "--threads", "0"}, {"--threads", "found '0'", "expected an integer from 1"}},
      {{"run", kTask, "--threads", "many"}, {"--threads", "found 'many'", "expected an integer"}},
      {{"run", kTask, "--resume", "folder"}, {"--resume", "task"}},
      {{"run", "--resume", "folder", "--seed", "2"}, {"--resume", "--seed"}},

      // Names.
      {{"run", kTask, "--set", "encoding.absolute=[slider,hinge]"},
       {"--set encoding.absolute: found \"[slider,hinge]\"", "quoted: ['a', 'b']"}},
      {{"run", "cartpole_closed_from"},
       {"unknown task 'cartpole_closed_from'", "did you mean 'cartpole_closed_form'"}},
      {{"run", kTask, "--algorithm", "mcp"},
       {"--algorithm", "unknown algorithm 'mcp'", "did you mean 'mpc'"}},
      {{"run", kTask, "--planner", "icen"},
       {"--planner", "unknown planner 'icen'", "did you mean 'icem'"}},
      {{"run", kTask, "--set", "run.planner=icen"},
       {"--set run.planner", "\"icen\"", "expected one of", "did you mean 'icem'"}},

      // Values of the configuration.
      {{"run", kTask, "--set", "planner.icem.horizn=20"},
       {"--set planner.icem.horizn", "unknown key", "did you mean 'planner.icem.horizon'"}},
      {{"run", kTask, "--set", "planer.icem.horizon=20"},
       {"--set planer.icem.horizon", "did you mean 'planner.icem"}},
      {{"run", kTask, "--set", "planner.icem.horizon=long"},
       {"--set planner.icem.horizon", "found string \"long\"", "expected an integer"}},
      {{"run", kTask, "--set", "planner.icem.horizon=0"},
       {"--set planner.icem.horizon", "found integer 0", "expected an integer in [1"}},
      {{"run", kTask, "--set", "planner.cem.population=-1"},
       {"--set planner.cem.population", "found integer -1", "expected an integer in [2"}},
      {{"run", kTask, "--set", "model.width=4096", "--set", "model.hidden_layers=8", "--set",
        "model.members=64"},
       {"model", "GiB of memory", "available"}},
      {{"run", kTask, "--set", "planner.icem.population=1000000", "--set",
        "planner.icem.horizon=10000"},
       {"planner", "GiB of memory", "available"}},
      {{"run", kTask, "--set", "model.precision=bf17"},
       {"--set model.precision", "found \"bf17\"", "f32, bf16, auto"}},
      {{"run", kTask, "--set", "model.precision=bf16", "--set", "model.kernel=eigen"},
       {"model.precision", "found bf16 with model.kernel = eigen", "expected model.kernel = auto"}},
      {{"run", kTask, "--set", "model.width"},
       {"--set", "model.width", "expected section.key=value"}},
      {{"run", kTask, "--set", "model.width=[1,"}, {"--set model.width"}},
      {{"run", kTask, "--set", "reward=no_such_reward"}, {"--set reward", "no_such_reward"}},

      // Files.
      {{"run", "absent.toml"}, {"absent.toml", "no such file", "expected a TOML file"}},
      {{"run", "./folder"}, {"./folder: found a folder", "--model"}},
      {{"run", "broken.toml"}, {"broken.toml:2:"}},
      {{"run", "nameless.toml"}, {"nameless.toml", "found no key 'name'"}},
      {{"run", "misspelt.toml"},
       {"misspelt.toml:5:1", "unknown key 'episode_lenght'", "did you mean 'episode_length'"}},
      {{"run", kTask, "--out", "folder"}, {"folder", "exists already", "--resume"}},
      {{"run", kTask, "--out", "misspelt.toml"}, {"misspelt.toml", "exists already"}},
      {{"run", kTask, "--out", "misspelt.toml/run"}, {"misspelt.toml/run", "cannot be made"}},
      {{"run", "--resume", "absent"}, {"absent", "found no such folder", "expected"}},
      {{"run", "--resume", "folder"}, {"folder", "is no run", "'config.toml' is missing"}},

      // Evaluation.
      {{"eval"}, {"found neither a task nor --model"}},
      {{"eval", "folder"}, {"folder", "is no run"}},
      {{"eval", "absent/run"},
       {"unknown folder or task 'absent/run'; 'foreplan list' names the tasks\n"}},
      {{"plan", "absent"}, {"unknown folder or task 'absent'; 'foreplan list'"}},
      {{"tune", "pendulun"}, {"unknown folder or task 'pendulun' (did you mean 'pendulum'?)"}},
      {{"compare", "absent"}, {"unknown task or folder of a run 'absent'; 'foreplan list'"}},
      {{"run", "absent/task"}, {"absent/task: found no task", "'foreplan list' names them"}},
      {{"run", "folder"}, {"folder: found a folder", "--resume", "--model"}},
      {{"run", "robot.xml"}, {"robot.xml: found a model", "model = \"robot.xml\""}},
      {{"run", "README.md"}, {"README.md: found no task, expected", "(.toml)"}},
      {{"eval", kTask}, {"is no folder of a run", "--controller"}},
      {{"eval", kTask, "--controller", "unifrom"},
       {"--controller", "unknown controller 'unifrom'", "did you mean 'uniform'"}},
      {{"eval", kTask, "--controller", "zero", "--episodes", "-1"}, {"--episodes", "found '-1'"}},
      {{"eval", kTask, "--controller", "zero", "--compare"}, {"--compare", "--controller"}},
      {{"list", "tasks"}, {"list: found 'tasks', expected no such argument"}},
  };
}

std::string CommandLine(const std::vector<std::string>& arguments) {
  std::string line = "foreplan";
  for (const std::string& argument : arguments) line += " " + argument;
  return line;
}

TEST_F(WrongInput, EndsWithOneClearLineAndWritesNothing) {
  fs::create_directory(work() / "folder");
  WriteText("broken.toml", "name = \"a\"\nreward = = 3\n");
  WriteText("nameless.toml", "summary = \"x\"\n");
  WriteText("misspelt.toml",
            "name = \"a\"\nreward = \"pets_cartpole\"\nepisode_length = 9\n\nepisode_lenght = 9\n"
            "[system]\ntype = \"cartpole\"\n");
  const std::vector<std::string> before = Files();
  for (const Case& test : Cases()) {
    SCOPED_TRACE(CommandLine(test.arguments));
    const ProgramResult result = RunProgram(test.arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, testing::StartsWith("foreplan: "));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& fragment : test.fragments) {
      EXPECT_THAT(result.err, testing::HasSubstr(fragment));
    }
    EXPECT_EQ(Files(), before);
  }
}

// Which could tell a terminal what to do, or fill it.
TEST_F(WrongInput, OfWhatAFileHoldsNoControlCharactersAreShownAndNotAllOfIt) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "1", "--out", "run"})).exit_code, 0);
  WriteText("run/episodes.csv", "\x1b[31m" + std::string(100000, 'y') + "\n");
  const std::string message = Refusal({"report", "run"});
  EXPECT_THAT(message, testing::StartsWith("foreplan: run: episodes, line 1: found"));
  EXPECT_THAT(message, testing::HasSubstr("\uFFFD[31myyy"));
  EXPECT_THAT(message, testing::HasSubstr("yyy ... yyy"));
  EXPECT_LT(message.size(), 4100U);
}

TEST_F(WrongInput, NamesAnUnreadableModelFile) {
  const std::string task =
      "name = \"a\"\nreward = \"pets_cartpole\"\nepisode_length = 9\n"
      "[system]\ntype = \"mujoco\"\nmodel = \"model.xml\"\nframe_skip = 2\n"
      "observation = [\"qpos\", \"qvel\"]\n";
  WriteText("task.toml", task);
  std::vector<std::string> before = Files();
  const ProgramResult missing = RunProgram({"run", "task.toml"});
  EXPECT_EQ(missing.exit_code, 2);
#ifdef FOREPLAN_HAVE_MUJOCO
  EXPECT_THAT(missing.err, testing::HasSubstr("model.xml"));
#else
  EXPECT_THAT(missing.err, testing::HasSubstr("has no MuJoCo"));
#endif
  EXPECT_EQ(Files(), before);

  WriteText("model.xml", "<mujoco><worldbody><body></mujoco>");
  before = Files();
  const ProgramResult malformed = RunProgram({"run", "task.toml"});
  EXPECT_EQ(malformed.exit_code, 2);
  EXPECT_EQ(std::count(malformed.err.begin(), malformed.err.end(), '\n'), 1) << malformed.err;
#ifdef FOREPLAN_HAVE_MUJOCO
  EXPECT_THAT(malformed.err, testing::HasSubstr("model.xml"));
#endif
  EXPECT_EQ(Files(), before);
}

}  // namespace
}  // namespace foreplan::apps

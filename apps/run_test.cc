// What programs may rely on: documents, files, exit codes, and the same bytes again and again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using RunCommand = ProgramTest;
using EvalCommand = ProgramTest;
using ListCommand = ProgramTest;

constexpr auto kPatience = std::chrono::seconds(60);  // for a machine under load

TEST_F(ListCommand, NamesWhatCanBeRun) {
  const ProgramResult result = RunProgram({"list", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto document = nlohmann::json::parse(result.out);
  bool found = false;
  for (const nlohmann::json& task : document["tasks"]) {
    if (task["name"] != "cartpole_closed_form") continue;
    found = true;
    EXPECT_EQ(task["observation_dim"], 4);
    EXPECT_EQ(task["action_dim"], 1);
    EXPECT_EQ(task["episode_length"], 200);
  }
  EXPECT_TRUE(found);
  EXPECT_THAT(document["algorithms"], testing::Contains("mpc"));
  EXPECT_THAT(document["planners"], testing::Contains("icem"));
  EXPECT_THAT(RunProgram({"list"}).out, HasSubstr("cartpole_closed_form"));
}

TEST_F(RunCommand, WritesOneDocumentAndTheWholeFolder) {
  const ProgramResult result = RunProgram(TinyRun({"--episodes", "3", "--json", "--out", "run"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto document = nlohmann::json::parse(result.out);
  EXPECT_EQ(document["task"], "cartpole_closed_form");
  EXPECT_EQ(document["algorithm"], "mpc");
  EXPECT_EQ(document["planner"], "icem");
  EXPECT_EQ(document["seed"], 3);
  EXPECT_EQ(document["status"], "done");
  EXPECT_EQ(document["episode_returns"].size(), 3U);
  EXPECT_EQ(document["episode_steps"], nlohmann::json({30, 30, 30}));
  EXPECT_EQ(document["episode_ends"], nlohmann::json({"length", "length", "length"}));
  EXPECT_EQ(document["total_steps"], 90);
  EXPECT_EQ(document["run_directory"], "run");
  EXPECT_GT(document["planning_seconds"], 0);
  EXPECT_GT(document["fitting_seconds"], 0);
  EXPECT_GE(document["wall_seconds"],
            document["planning_seconds"].get<double>() + document["fitting_seconds"].get<double>());
  EXPECT_TRUE(document["versions"].contains("foreplan"));

  for (const char* file :
       {"config.toml", "machine.json", "episodes.csv", "metrics.csv",
        "events.out.tfevents.foreplan", "data/transitions-000000000000.safetensors",
        "data/transitions-000000000060.safetensors", "model/model.safetensors",
        "checkpoint/state.safetensors", "report.html"}) {
    EXPECT_TRUE(fs::is_regular_file(work() / "run" / file)) << file;
  }
  EXPECT_THAT(FileText(work() / "run/episodes.csv"),
              testing::StartsWith("episode,controller,steps,total_steps,return,end,note\n"
                                  "1,uniform,30,30,"));
  // No terminal: one plain line per episode.
  EXPECT_THAT(result.err, HasSubstr("episode 3/3: return "));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 3) << result.err;
  EXPECT_THAT(FileText(work() / "run/report.html"), HasSubstr("\"return\":["));
}

TEST_F(RunCommand, NamesItsFolderAfterTheRun) {
  ASSERT_EQ(RunProgram(TinyRun({"--steps", "40"})).exit_code, 0);
  const std::vector<std::string> files = Files();
  EXPECT_THAT(files, testing::Contains(testing::ContainsRegex(
                         "^runs/cartpole_closed_form-mpc-3-[0-9]+-[0-9]+/episodes.csv$")));
}

TEST_F(RunCommand, StopsWithinTheEpisodeThatReachesTheSteps) {
  const ProgramResult result = RunProgram(TinyRun({"--steps", "40", "--json", "--out", "run"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto document = nlohmann::json::parse(result.out);
  EXPECT_EQ(document["total_steps"], 40);
  EXPECT_EQ(document["episode_ends"], nlohmann::json({"length", "cut_off"}));
}

TEST_F(RunCommand, LeavesAnEpisodeThatWasCutOffOutOfBestAndMeanAndSaysSo) {
  const ProgramResult result = RunProgram(TinyRun({"--steps", "40", "--out", "run"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string csv = FileText(work() / "run/episodes.csv");
  ASSERT_THAT(csv, HasSubstr("\n2,mpc,10,40,"));
  EXPECT_THAT(csv, HasSubstr(",cut_off,\n"));
  EXPECT_THAT(result.out, testing::ContainsRegex("^best return [-0-9.]+ in episode 1; mean of the "
                                                 "last 1 episode [-0-9.]+ \\(left out: 1 cut "
                                                 "off\\)\n"));
}

TEST_F(RunCommand, GivesTheSameBytesOnAnyNumberOfThreads) {
  std::vector<std::string> csv;
  for (const char* threads : {"1", "2", "8"}) {
    const std::string out = std::string("run") + threads;
    const ProgramResult result =
        RunProgram(TinyRun({"--episodes", "3", "--threads", threads, "--out", out}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    csv.push_back(FileText(work() / out / "episodes.csv"));
    EXPECT_EQ(std::count(csv.back().begin(), csv.back().end(), '\n'), 4);
  }
  EXPECT_EQ(csv[0], csv[1]);
  EXPECT_EQ(csv[0], csv[2]);
}

TEST_F(RunCommand, RepeatsARunFromItsConfig) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "3", "--out", "first"})).exit_code, 0);
  const ProgramResult again = RunProgram({"run", "first/config.toml", "--out", "second"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(FileText(work() / "first/episodes.csv"), FileText(work() / "second/episodes.csv"));
  EXPECT_EQ(FileText(work() / "first/config.toml"), FileText(work() / "second/config.toml"));
}

// --- streams that cannot be written

void Redirect(int stream, const char* file) {
  const int opened = open(file, O_WRONLY);
  if (opened < 0 || dup2(opened, stream) < 0) _exit(126);
  close(opened);
}

TEST_F(RunCommand, ProgressThatCannotBeWrittenEndsNoRun) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "3", "--out", "seen"})).exit_code, 0);
  const std::vector<std::pair<std::string, std::function<void()>>> streams = {
      {"full", [] { Redirect(STDERR_FILENO, "/dev/full"); }},
      {"closed", [] { close(STDERR_FILENO); }},
      {"all_closed",
       [] {
         for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(stream);
       }},
      {"reader_gone", [] {
         std::array<int, 2> ends{};
         if (pipe(ends.data()) != 0 || dup2(ends[1], STDERR_FILENO) < 0) _exit(126);
         close(ends[0]);
         close(ends[1]);
       }}};
  for (const auto& [name, set] : streams) {
    EXPECT_EQ(RunProgram(TinyRun({"--episodes", "3", "--out", name}), set).exit_code, 0) << name;
    for (const char* file : {"episodes.csv", "config.toml", "model/model.safetensors"}) {
      EXPECT_EQ(FileText(work() / name / file), FileText(work() / "seen" / file))
          << name << ": messages may not end in " << file;
    }
    EXPECT_TRUE(fs::is_regular_file(work() / name / "report.html")) << name;
  }
}

TEST_F(RunCommand, AResultThatCannotBeWrittenIsAnError) {
  const auto full = [] { Redirect(STDOUT_FILENO, "/dev/full"); };
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"list", "--json"},
        {"list"},
        {"--help"},
        {"--version"},
        TinyRun({"--steps", "20", "--json", "--out", "run"}),
        {"eval", "run", "--controller", "zero", "--episodes", "1", "--json"}}) {
    const ProgramResult result = RunProgram(arguments, full);
    EXPECT_EQ(result.exit_code, 3) << arguments[0];
    EXPECT_THAT(result.err, HasSubstr("No space left on device")) << arguments[0];
  }
  EXPECT_TRUE(fs::is_regular_file(work() / "run/report.html")) << "the run itself was done";
}

TEST_F(RunCommand, ResumesAfterAKill) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "12", "--out", "whole"})).exit_code, 0);
  const pid_t child = Start(TinyRun({"--episodes", "12", "--out", "run"}));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!fs::exists(work() / "run/model/model.safetensors") &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(child, SIGKILL);
  EXPECT_EQ(Wait(child).exit_code, -1);
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), FileText(work() / "whole/episodes.csv"));
}

TEST_F(RunCommand, AFolderLeftHalfMadeIsNamedAndTakenAgain) {
  fs::create_directories(work() / "run.incomplete/checkpoint");  // killed in its first milliseconds
  WriteText("run.incomplete/config.toml", "name = ");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_THAT(resumed.err, HasSubstr("'run.incomplete', which a program left that was stopped"));
  EXPECT_EQ(RunProgram(TinyRun({"--episodes", "1", "--out", "run"})).exit_code, 0);
  EXPECT_FALSE(fs::exists(work() / "run.incomplete"));
  EXPECT_EQ(RunProgram({"run", "--resume", "run"}).exit_code, 0);
}

TEST_F(RunCommand, ResumingAFinishedRunChangesNothing) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const std::string episodes = FileText(work() / "run/episodes.csv");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), episodes);
}

TEST_F(RunCommand, GoesOnFromTheCheckpointBeforeADamagedOneAndRefusesTwo) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "3", "--out", "run"})).exit_code, 0);
  const std::string episodes = FileText(work() / "run/episodes.csv");
  const auto damage = [&](const char* name) {
    const fs::path file = work() / "run/checkpoint" / name;
    fs::resize_file(file, fs::file_size(file) / 2);
  };
  damage("state.safetensors");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(resumed.exit_code, 0);
  EXPECT_THAT(resumed.err, HasSubstr("goes on from the checkpoint before it"));
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), episodes);
  damage("state.safetensors");
  damage("previous.safetensors");
  const ProgramResult refused = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("state.safetensors"));
  EXPECT_THAT(refused.err, HasSubstr("previous.safetensors"));
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
}

// What a user may edit in the folder of a run between two parts of it.
TEST_F(RunCommand, RefusesToGoOnAsAnotherRunUnlessItIsToldTo) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const fs::path config = work() / "run/config.toml";
  const std::string text = FileText(config);
  const std::vector<std::pair<std::string, std::string>> edits = {
      {"\nseed = 3", "\nseed = 1"},
      {"\nreward = \"pets_cartpole\"", "\nreward = \"1 - slide^2\""},
      {"\nalgorithm = \"mpc\"", "\nalgorithm = \"policy_backprop\""},
      {"\nplanner = \"icem\"", "\nplanner = \"cem\""},
      {"\nepisode_length = ", "\nepisode_length = 1"},
      {"\nlearning_rate = 0.0", "\nlearning_rate = 0.1"},
      {"\nbatch = ", "\nbatch = 1"},
      {"\nwidth = ", "\nwidth = 1"},
      {"\nmembers = ", "\nmembers = 1"},
  };
  for (const auto& [from, to] : edits) {
    std::string edited = text;
    ASSERT_NE(edited.find(from), std::string::npos) << from;
    WriteText("run/config.toml", edited.replace(edited.find(from), from.size(), to));
    const ProgramResult refused = RunProgram({"run", "--resume", "run", "--episodes", "3"});
    EXPECT_EQ(refused.exit_code, 2) << to;
    EXPECT_THAT(refused.err, HasSubstr("--accept ")) << to;
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  }
  std::string edited = text;
  edited.replace(edited.find(edits[0].first), edits[0].first.size(), edits[0].second);
  WriteText("run/config.toml", edited);
  const ProgramResult resumed =
      RunProgram({"run", "--resume", "run", "--episodes", "3", "--accept", "run.seed"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("run.seed: was 3, is 1"));
  EXPECT_THAT(FileText(work() / "run/result.json"), HasSubstr("\"accepted\""));
  const ProgramResult report = RunProgram({"report", "run", "--format", "md", "--out", "run.md"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(FileText(work() / "run.md"),
              HasSubstr("Does not repeat to the bit | run.seed: was 3, is 1, after episode 2"));
}

TEST_F(RunCommand, RefusesToGoOnWithoutItsData) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  fs::remove(work() / "run/data/transitions-000000000030.safetensors");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_THAT(resumed.err, HasSubstr("run/data/transitions-000000000030.safetensors"));
}

TEST_F(RunCommand, KeepsTheDataOfAFailedFit) {
  // Steps of size 1 through eight wide layers overflow a float within a few dozen steps.
  const ProgramResult result = RunProgram({"run",
                                           "cartpole_closed_form",
                                           "--episodes",
                                           "2",
                                           "--json",
                                           "--out",
                                           "run",
                                           "--set",
                                           "episode_length=10",
                                           "--set",
                                           "model.members=1",
                                           "--set",
                                           "model.width=512",
                                           "--set",
                                           "model.hidden_layers=8",
                                           "--set",
                                           "model.probabilistic=false",
                                           "--set",
                                           "fit.learning_rate=1",
                                           "--set",
                                           "fit.min_steps=200",
                                           "--set",
                                           "fit.max_steps=200"});
  EXPECT_EQ(result.exit_code, 3);
  const std::string last_line = result.err.substr(result.err.find("foreplan: "));
  EXPECT_THAT(last_line, testing::MatchesRegex("foreplan: fit: the loss of member 0 is .* at "
                                               "gradient step [0-9]+ of 200; .* kept in run\n"));
  EXPECT_THAT(nlohmann::json::parse(result.out)["status"], testing::StartsWith("failed: fit: "));
  EXPECT_THAT(FileText(work() / "run/episodes.csv"), HasSubstr("\n1,uniform,10,10,"));
  EXPECT_GT(fs::file_size(work() / "run/data/transitions-000000000000.safetensors"),
            10U * 10U * sizeof(double));
  EXPECT_THAT(FileText(work() / "run/report.html"), HasSubstr("failed: fit: the loss"));
}

TEST_F(RunCommand, KeepsTheRolloutsOfLocalModelsWhoseFitFails) {
  // One rollout per condition and no prior: the regressions are singular.
  std::vector<std::string> arguments = {"run",          "pendulum",   "--algorithm",
                                        "local_models", "--out",      "run",
                                        "--json",       "--episodes", "8"};
  for (const char* assignment :
       {"episode_length=30", "local_models.rollouts=1", "local_models.prior=none",
        "local_models.initial=pd",
        "conditions.set=['system.reset.position=0.1', 'system.reset.position=0.3']"}) {
    arguments.insert(arguments.end(), {"--set", assignment});
  }
  const ProgramResult result = RunProgram(arguments);
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(nlohmann::json::parse(result.out)["status"], testing::StartsWith("failed: "));
  const std::string csv = FileText(work() / "run/episodes.csv");
  EXPECT_THAT(csv, HasSubstr("\n1,local 1,30,30,"));
  EXPECT_THAT(csv, HasSubstr("\n2,local 2,30,60,"));
  // What goes on does not roll out again: it fails in the same fit, with the same episodes.
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(resumed.exit_code, 3) << resumed.err;
  EXPECT_THAT(resumed.err, testing::Not(HasSubstr("episode 1/8")));
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), csv);
}

TEST_F(RunCommand, RecordsAnEpisodeThatDivergesAndGoesOn) {
  const ProgramResult result =
      RunProgram(TinyRun({"--episodes", "2", "--out", "run", "--set", "system.timestep=1"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("diverged: step "));
  EXPECT_THAT(FileText(work() / "run/episodes.csv"), HasSubstr(",diverged,step "));
  EXPECT_THAT(FileText(work() / "run/episodes.csv"), HasSubstr(": state 'slider"));
  EXPECT_THAT(result.out, testing::StartsWith("no whole episode (left out: 2 diverged)\n"));
}

TEST_F(RunCommand, FailsWhenTheDiskRefuses) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  fs::remove_all(work() / "run/model");
  const ProgramResult resumed = RunProgram({"run", "--resume", "run"});
  EXPECT_EQ(resumed.exit_code, 3);
  EXPECT_THAT(resumed.err, HasSubstr("run/model/model.safetensors: cannot be written"));
  EXPECT_EQ(std::count(resumed.err.begin(), resumed.err.end(), '\n'), 1) << resumed.err;
}

TEST_F(EvalCommand, ComparesControllersOnTheSameStarts) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "3", "--out", "run"})).exit_code, 0);
  const std::vector<std::string> files = Files();
  const ProgramResult result =
      RunProgram({"eval", "run", "--compare", "--episodes", "3", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto document = nlohmann::json::parse(result.out);
  ASSERT_EQ(document["rows"].size(), 4U);
  const std::vector<std::string> names = {"uniform", "zero", "learned", "true_model"};
  for (size_t i = 0; i < names.size(); ++i) {
    const nlohmann::json& row = document["rows"][i];
    EXPECT_EQ(row["controller"], names[i]);
    ASSERT_EQ(row["episode_returns"].size(), 3U);
    EXPECT_LE(row["min"], row["mean"]);
    EXPECT_LE(row["mean"], row["max"]);
    // Student's 97.5 % quantile for two degrees of freedom is 4.3027, of three returns.
    const auto returns = row["episode_returns"].get<std::vector<double>>();
    const double mean = (returns[0] + returns[1] + returns[2]) / 3;
    double squares = 0;
    for (const double value : returns) squares += std::pow(value - mean, 2);
    EXPECT_NEAR(row["mean"].get<double>(), mean, 1e-9 * std::abs(mean));
    EXPECT_NEAR(row["ci95"].get<double>(), 4.3027 * std::sqrt(squares / 2 / 3),
                1e-4 * row["ci95"].get<double>());
  }
  // For the run's report, and nothing else.
  std::vector<std::string> left = files;
  left.emplace_back("run/evaluation");
  for (const std::string& name : names) left.push_back("run/evaluation/" + name + ".json");
  std::ranges::sort(left);
  EXPECT_EQ(Files(), left);
  const auto kept = nlohmann::json::parse(FileText(work() / "run/evaluation/zero.json"));
  EXPECT_EQ(kept["episode_returns"], document["rows"][1]["episode_returns"]);
  EXPECT_EQ(kept["mean"], document["rows"][1]["mean"]);

  // Alone and on other threads every controller gives the same numbers.
  for (size_t i : {1U, 2U, 3U}) {
    const ProgramResult alone = RunProgram(
        {"eval", "run", "--controller", names[i], "--episodes", "3", "--threads", "1", "--json"});
    ASSERT_EQ(alone.exit_code, 0) << alone.err;
    EXPECT_EQ(nlohmann::json::parse(alone.out)["rows"][0]["episode_returns"],
              document["rows"][i]["episode_returns"])
        << names[i];
  }
  EXPECT_THAT(RunProgram({"eval", "run", "--episodes", "2"}).out, HasSubstr("learned model, icem"));
}

TEST_F(EvalCommand, EveryEpisodeHasAStartOfItsOwn) {
  const auto returns = [this](const char* seed) {
    const ProgramResult result =
        RunProgram({"eval", "cartpole_closed_form", "--controller", "zero", "--episodes", "3",
                    "--seed", seed, "--set", "episode_length=10", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["rows"][0]["episode_returns"];
  };
  const nlohmann::json first = returns("1");
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[1], first[2]);
  EXPECT_EQ(returns("1"), first);
  EXPECT_NE(returns("2")[0], first[0]);
}

TEST_F(EvalCommand, MeasuresATaskWithoutARun) {
  const ProgramResult result = RunProgram(
      {"eval", "cartpole_closed_form", "--controller", "zero", "--episodes", "2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["rows"][0]["episode_steps"],
            nlohmann::json({200, 200}));
}

TEST_F(RunCommand, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(RunProgram({"--help"}).exit_code, 0);
  EXPECT_THAT(RunProgram({"run", "--help"}).out, HasSubstr("--resume"));
  EXPECT_THAT(RunProgram({"--version"}).out, testing::StartsWith("foreplan "));
}

}  // namespace
}  // namespace foreplan::apps

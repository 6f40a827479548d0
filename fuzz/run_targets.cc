// Files of ours: of tensors, of runs, of what was learned.
#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/read_file.h"
#include "foreplan/data/episode_recording.h"
#include "foreplan/data/gzip.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/folder_check.h"
#include "foreplan/experiments/replay.h"
#include "foreplan/experiments/run_report.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/experiments/testing/small_runs.h"
#include "foreplan/policies/stored_policy.h"
#include "foreplan/runs/run_directory.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input_file.h"

namespace foreplan::fuzz {
namespace {

namespace fs = std::filesystem;

using testing::kSmallTask;
using testing::QuietSession;
using testing::SmallExperiment;

// --- runs to begin with -------------------------------------------------------------------------

/// The folder of a small run of the algorithm, made once.
const fs::path& RunOf(const std::string& algorithm) {
  static std::map<std::string, fs::path> runs;
  fs::path& run = runs[algorithm];
  if (run.empty()) {
    run = OwnFolder() / ("run_" + algorithm);
    const int episodes = algorithm == "local_models" ? 8 : 3;
    const auto session = QuietSession(SmallExperiment(algorithm, episodes));
    session->Create(run);
    session->Run();
  }
  return run;
}

std::vector<std::string> SeedOf(const std::string& algorithm, const char* file) {
  return {ReadFile(RunOf(algorithm) / file)};
}

// --- readers ------------------------------------------------------------------------------------

void ReadTensorFile(std::string_view input) {
  const TensorFile file = ParseTensors(input, "input.safetensors");
  const std::string written = SerializeTensors(file, "again");
  if (SerializeTensors(ParseTensors(written, "again"), "again") != written) {
    throw std::logic_error("a file that is read and written again is another one");
  }
}

void ReadTransitions(std::string_view input) {
  (void)ReadRecording(InputFile("input.safetensors", input), {});
}

/// Packed, which a change of bytes would not survive.
void ReadEpisode(std::string_view input) {
  static const Task task = LoadExperiment(kSmallTask, {}).task;
  const fs::path file = InputFile("input.safetensors.gz", GzipOf(input));
  (void)ReadEpisodeRecording(file);
  (void)Replay(task, ReadStates(task, file), ReplayMode::kOneStep);
}

/// Of a simulator, as JSON.
void ReadJsonStates(std::string_view input) {
  static const Task task = LoadExperiment(kSmallTask, {}).task;
  (void)Replay(task, ReadStates(task, InputFile("input.json", input)), ReplayMode::kFreeRunning);
}

void ReadModel(std::string_view input) {
  const StoredModel stored = OpenStoredModel(InputFile("model.safetensors", input));
  (void)CheckFolder(InputFile("model.safetensors", input));
}

void ReadPolicy(std::string_view input) {
  const StoredPolicy policy(ParseTensors(input, "input.safetensors"));
  const auto actor = policy.MakeActor(PolicyAction::kMean);
  (void)policy.Graph();
}

/// In the folder of a run that goes on from it.
void ReadCheckpointOfRun(std::string_view input) {
  const fs::path run = OwnFolder() / "resumed";
  fs::remove_all(run);
  fs::copy(RunOf("mpc"), run, fs::copy_options::recursive);
  fs::remove(run / "checkpoint/previous.safetensors");
  Overwrite(run / "checkpoint/state.safetensors", input);
  (void)CheckFolder(run);
  const auto session = QuietSession(LoadExperiment((run / "config.toml").string(), {}));
  session->Resume(run);
}

/// What a learner of the small run takes as its own it saves again.
void ReadLearner(const std::string& algorithm, std::string_view input) {
  static std::map<std::string, std::pair<Experiment, Dataset>> runs;
  auto run = runs.find(algorithm);
  if (run == runs.end()) {
    const RunDirectory folder = RunDirectory::Open(RunOf(algorithm));
    Experiment experiment = LoadExperiment(folder.config_file().string(), {});
    Dataset data(experiment.task.spec().observation_dim(), experiment.task.spec().action_dim());
    ReadSegments(folder.data_folder(), -1, data);
    run = runs.emplace(algorithm, std::pair(std::move(experiment), std::move(data))).first;
  }
  auto& [experiment, data] = run->second;
  const TensorFile state = ParseTensors(input, "input.safetensors");
  const auto learner = MakeExperimentsLearner(experiment, {experiment.task, experiment.run});
  learner->Restore(state, data);
  TensorFile saved;
  learner->Save(saved);
  for (const auto& [name, tensor] : saved.tensors) {
    const auto found = state.tensors.find(name);
    if (found != state.tensors.end() && found->second.values == tensor.values) continue;
    throw std::logic_error(name + " is another one when it is saved again");
  }
}

/// How a run ended.
void ReadResult(std::string_view input) {
  const fs::path run = RunOf("mpc");
  Overwrite(run / "result.json", input);
  (void)ReadStoredRun(run);
  (void)CheckFolder(run);
}

Target LearnerTarget(const std::string& algorithm) {
  return {"learner_" + algorithm, "what a learner of " + algorithm + " goes on from",
          [algorithm](std::string_view input) { ReadLearner(algorithm, input); },
          [algorithm] { return SeedOf(algorithm, "checkpoint/state.safetensors"); }, true};
}

}  // namespace

std::vector<Target> RunTargets() {
  std::vector<Target> targets = {
      {"tensors", "files of tensors", ReadTensorFile, nullptr, true},
      {"transitions", "transitions that a run wrote", ReadTransitions,
       [] {
         return std::vector<std::string>{ReadFile(*fs::directory_iterator(RunOf("mpc") / "data"))};
       },
       true},
      {"episode", "recordings of episodes", ReadEpisode,
       [] {
         const fs::path file = *fs::directory_iterator(RunOf("mpc") / "recordings");
         return std::vector<std::string>{
             Gunzip(ReadFile(file), kLargestEpisodeRecording, file.string())};
       },
       true},
      {"states", "recordings of states as JSON", ReadJsonStates},
      {"model", "stored models", ReadModel, [] { return SeedOf("mpc", "model/model.safetensors"); },
       true},
      {"policy", "stored policies", ReadPolicy,
       [] {
         return std::vector<std::string>{
             SerializeTensors(StoredPolicy::Open(RunOf("dhmbpo")).file(), "policy"),
             SerializeTensors(StoredPolicy::Open(RunOf("policy_backprop")).file(), "policy")};
       },
       true},
      {"checkpoint", "what a run goes on from, in its folder", ReadCheckpointOfRun,
       [] { return SeedOf("mpc", "checkpoint/state.safetensors"); }, true},
      {"result", "how a run ended, result.json", ReadResult,
       [] { return SeedOf("mpc", "result.json"); }},
  };
  for (const char* algorithm : {"mpc", "policy_backprop", "local_models", "dhmbpo", "sac"}) {
    targets.push_back(LearnerTarget(algorithm));
  }
  return targets;
}

}  // namespace foreplan::fuzz

// foreplan tune: search for a planner's settings.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/tuning.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/status_line.h"
#include "foreplan/runs/summary.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct TuneRequest {
  std::string target;  // folder of a run, or a task
  RunFlags flags;
  int budget = 40;    // episodes of the search
  int check = 5;      // fresh episodes afterwards
  double effort = 0;  // imagined steps per decision; 0: as many as the own settings
  int seed = 0;       // of candidates and start states
  std::string out;
  int threads = 1;
  bool json = false;
  bool print_config = false;
};

/// One search: candidates, what they earned, and what came of it.
class Tuner {
 public:
  Tuner(const TuneRequest& request, const std::stop_token& stop)
      : request_(request),
        target_(ResolveTarget(request.target, request.flags)),
        own_(LoadExperiment(target_.task, target_.flags)),
        space_(own_.run.planner, own_.config),
        effort_(request.effort > 0 ? request.effort : space_.own_effort()),
        out_(request.out.empty() ? own_.task.name() + "_tuned.toml" : request.out),
        executor_(std::make_shared<ThreadPool>(request.threads)),
        stop_(stop) {
    PrintNotes(own_.notes);
    if (!out_.string().ends_with(".toml")) {
      throw InputError(
          fmt::format("--out: found '{}', expected a name that ends in .toml", out_.string()));
    }
    if (fs::exists(out_)) {
      throw InputError(
          fmt::format("{}: exists already, expected a new file for --out", out_.string()));
    }
  }

  void Run() {
    DrawCandidates();
    const double episodes = EpisodesOfHalving(static_cast<int>(candidates_.size()));
    progress_.emplace("tuning", episodes + 2.0 * request_.check, "episodes", line_);
    Search();
    progress_.reset();
    CheckAnyPlayed();
    Write();
  }

  void Search() {
    best_ = RunSuccessiveHalving(
        candidates_,
        [this](int candidate, int first, int count) { return Play(candidate, first, count); },
        [this](std::span<const int> playing, int episodes) { ShowRound(playing, episodes); });
    // Starts that no candidate was chosen by.
    const int fresh = static_cast<int>(candidates_[0].returns.size());
    own_check_ = Play(0, fresh, request_.check);
    best_check_ = best_ == 0 ? own_check_ : Play(best_, fresh, request_.check);
  }

  void PrintTables() const;
  [[nodiscard]] nlohmann::ordered_json Document() const;

 private:
  static constexpr uint64_t kCandidateStream = 0x74756e65;

  void DrawCandidates() {
    candidates_.push_back(space_.own());
    const int count = CandidatesWithin(request_.budget);
    const Key key{static_cast<uint64_t>(request_.seed), kCandidateStream};
    for (int i = 1; i < count; ++i) {
      Random random(key.Fold(static_cast<uint64_t>(i)));
      candidates_.push_back(space_.Draw(effort_, random));
    }
  }

  [[nodiscard]] Experiment With(int candidate) const {
    RunFlags flags = target_.flags;
    const std::vector<std::string> more =
        space_.Assignments(candidates_[static_cast<size_t>(candidate)], effort_);
    flags.assignments.insert(flags.assignments.end(), more.begin(), more.end());
    return LoadExperiment(target_.task, flags);
  }

  // A system that diverges under a candidate's actions is its failure, not the search's.
  std::vector<double> Play(int candidate, int first, int count) {
    Experiment experiment = With(candidate);
    const EvaluationRequest episodes{
        .episodes = count, .first = first, .seed = request_.seed, .progress = [this](double done) {
          progress_->Show(played_ + done);
        }};
    const double after = played_ + count;
    try {
      const Evaluation evaluation =
          EvaluateController(target_.has_learned() ? kLearned : kTrueModel, experiment,
                             target_.run_folder, episodes, executor_, stop_);
      played_ = after;
      return evaluation.returns;
    } catch (const RunError& error) {
      played_ = after;
      last_failure_ = error.what();
      return std::vector<double>(static_cast<size_t>(count),
                                 -std::numeric_limits<double>::infinity());
    }
  }

  void CheckAnyPlayed() const {
    if (std::isfinite(Mean(best_))) return;
    throw RunError("tune: every candidate failed, nothing is written; the last: " + last_failure_);
  }

  void ShowRound(std::span<const int> playing, int episodes) {
    progress_->Clear();
    const auto worse = [this](int a, int b) { return Mean(a) < Mean(b); };
    const int best = *std::max_element(playing.begin(), playing.end(), worse);
    WriteToStderr(fmt::format("{}, {} each: best {:.2f}, own settings {:.2f}\n",
                              Counted(playing.size(), "candidate"), Counted(episodes, "episode"),
                              Mean(best), Mean(0)));
  }

  void Write() {
    Experiment experiment = With(best_);
    const fs::path directory = out_.has_parent_path() ? out_.parent_path() : fs::path(".");
    NoteNewFolders(out_);
    fs::create_directories(directory);
    WriteFileAtomically(out_, ConfigText(experiment, directory));
  }

  [[nodiscard]] double Mean(int candidate) const {
    return candidates_[static_cast<size_t>(candidate)].Mean();
  }

  void PrintOptions() const;

  struct Importance {
    size_t option;  // in the space
    double correlation;
  };
  // Of the first episode, which all candidates played; the most important first. None of so few
  // candidates that chance alone gives any.
  [[nodiscard]] std::vector<Importance> Importances() const {
    if (Noise() >= 1) return {};
    std::vector<double> returns;
    for (const TuningCandidate& candidate : candidates_) returns.push_back(candidate.returns[0]);
    std::vector<Importance> importances;
    for (size_t i = 0; i < space_.options().size(); ++i) {
      std::vector<double> values;
      for (const TuningCandidate& candidate : candidates_) values.push_back(candidate.values[i]);
      importances.push_back({i, RankCorrelation(values, returns)});
    }
    std::stable_sort(importances.begin(), importances.end(),
                     [](const Importance& a, const Importance& b) {
                       return std::abs(a.correlation) > std::abs(b.correlation);
                     });
    return importances;
  }
  // Below it a correlation is what chance gives one time in twenty.
  [[nodiscard]] double Noise() const {
    return 1.96 / std::sqrt(static_cast<double>(candidates_.size()) - 1);
  }

  const TuneRequest& request_;
  Target target_;
  Experiment own_;
  TuningSpace space_;
  double effort_;
  fs::path out_;
  std::shared_ptr<ThreadPool> executor_;
  const std::stop_token stop_;
  std::vector<TuningCandidate> candidates_;  // the first has the own settings
  int best_ = 0;
  std::vector<double> own_check_, best_check_;  // returns from fresh starts
  std::string last_failure_;                    // of an episode
  StatusLine line_;
  std::optional<WorkProgress> progress_;  // while it searches
  double played_ = 0;                     // episodes
};

void Tuner::PrintOptions() const {
  const std::vector<Importance> importances = Importances();
  const bool tells = !importances.empty();
  fmt::print("{:<16}{:>12}{:>12}{:>20}\n", "option", "own", "best",
             tells ? "rank correlation" : "");
  const auto print = [this](size_t i, const std::string& correlation) {
    const TunableOption& option = space_.options()[i];
    fmt::print("{:<16}{:>12}{:>12}{:>20}\n", option.key, option.Text(candidates_[0].values[i]),
               option.Text(candidates_[static_cast<size_t>(best_)].values[i]), correlation);
  };
  if (!tells) {
    for (size_t i = 0; i < space_.options().size(); ++i) print(i, "");
    fmt::print("{} candidates are too few to tell what an option matters; --budget 40 draws {}\n\n",
               candidates_.size(), CandidatesWithin(40));
    return;
  }
  for (const Importance& importance : importances) {
    print(importance.option, fmt::format("{:+.2f}{}", importance.correlation,
                                         std::abs(importance.correlation) > Noise() ? " *" : "  "));
  }
  fmt::print("* beyond {:.2f}, what chance gives one time in twenty\n\n", Noise());
}

void Tuner::PrintTables() const {
  fmt::print("{}: {} on the {} model, {} candidates of {:.0f} imagined steps per decision{}\n\n",
             own_.task.name(), own_.run.planner, target_.has_learned() ? "learned" : "true",
             candidates_.size(), effort_, IsImagined(own_.task) ? ", in imagined episodes" : "");
  PrintOptions();
  const auto line = [&](const char* name, const std::vector<double>& returns, double searched) {
    const Summary summary = Summarize(returns);
    fmt::print("{:<16}{:>12.2f}{:>12}{:>20.2f}\n", name, summary.mean,
               std::isnan(summary.ci95) ? "-" : fmt::format("±{:.2f}", summary.ci95), searched);
  };
  fmt::print("{:<16}{:>12}{:>12}{:>20}\n", "mean return", "fresh", "95 %", "in the search");
  line("own settings", own_check_, Mean(0));
  line("best", best_check_, Mean(best_));
  fmt::print("\nwritten: {}\n", out_.string());
}

// Failed episodes become null.
nlohmann::ordered_json Tuner::Document() const {
  nlohmann::ordered_json candidates = nlohmann::ordered_json::array();
  for (const TuningCandidate& candidate : candidates_) {
    candidates.push_back({{"settings", space_.Assignments(candidate, effort_)},
                          {"episode_returns", candidate.returns}});
  }
  nlohmann::ordered_json importances = nlohmann::ordered_json::array();
  for (const Importance& importance : Importances()) {
    importances.push_back({{"option", space_.options()[importance.option].key},
                           {"rank_correlation", importance.correlation}});
  }
  return {{"task", own_.task.name()},
          {"planner", own_.run.planner},
          {"model", target_.has_learned() ? "learned" : "true"},
          {"imagined", IsImagined(own_.task)},
          {"seed", request_.seed},
          {"effort", effort_},
          {"best", best_},
          {"best_settings", space_.Assignments(candidates_[static_cast<size_t>(best_)], effort_)},
          {"own_fresh_returns", own_check_},
          {"best_fresh_returns", best_check_},
          {"importances", std::move(importances)},
          {"candidates", std::move(candidates)},
          {"file", out_.string()},
          {"versions", VersionsJson()}};
}

void Tune(const TuneRequest& request) {
  if (request.print_config) {
    const Target target = ResolveTarget(request.target, request.flags);
    Experiment experiment = LoadExperiment(target.task, target.flags);
    return PrintConfig(experiment);
  }
  Tuner tuner(request, CatchInterrupts());
  try {
    tuner.Run();
  } catch (const Interrupted&) {
    throw Interrupted("interrupted; nothing is written");
  }
  if (request.json) {
    fmt::print("{}\n", tuner.Document().dump(2));
  } else {
    tuner.PrintTables();
  }
}

}  // namespace

void AddTuneCommand(CLI::App& app) {
  auto request = std::make_shared<TuneRequest>();
  CLI::App& command = *app.add_subcommand("tune", "search for a planner's settings");
  command
      .add_option("target", request->target,
                  "a task (plans on the true system), or the folder of a run (plans on its "
                  "model); with --model alone the model is the system")
      ->type_name("TASK|RUN");
  AddModelFlag(command, request->flags);
  AddPlannerFlag(command, request->flags);
  command.add_option("--budget", request->budget, "episodes of the search; default: 40")
      ->check(IntegerFrom(2, 1'000'000));
  command.add_option("--check", request->check, "fresh episodes afterwards; default: 5")
      ->check(IntegerFrom(1, 1'000'000));
  command
      .add_option("--effort", request->effort,
                  "imagined steps per decision; default: as many as the settings in effect")
      ->check(NumberFrom(1, 1e12));
  command.add_option("--seed", request->seed, "of candidates and start states; default: 0")
      ->check(IntegerFrom(0, 2147483647));
  command.add_option("--out", request->out, "file to write; default: <task>_tuned.toml")
      ->type_name("FILE.toml");
  AddSetFlag(command, request->flags);
  AddPrintConfigFlag(command, request->print_config);
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { Tune(*request); });
}

}  // namespace foreplan::apps

// Suite storage: what an episode costs that is kept, by how many transitions there are. A run of
// synthetic episodes through the session, tables and segments of every run, without simulator and
// model: what is left is what may grow with the run.
#include <fmt/format.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/bench/suite.h"
#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/random.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

/// What --set can change. By default the sizes of Gymnasium's half-cheetah.
struct Sizes {
  int transitions = 0;  // there before the first episode that is measured
  int observations = 17;
  int actions = 6;
  int steps = 1000;         // of an episode
  int metrics = 40;         // rows of metrics.csv an episode
  std::string folder = {};  // "": the system's

  void Visit(OptionsVisitor& visitor) {
    visitor.Field("transitions", transitions, {1, 1e8}, "there when episodes are measured");
    visitor.Field("observations", observations, {1, 1e5}, "per transition");
    visitor.Field("actions", actions, {1, 1e5}, "per transition");
    visitor.Field("steps", steps, {1, 1e6}, "of an episode");
    visitor.Field("metrics", metrics, {0, 1e4}, "of an episode");
    visitor.Field("folder", folder, "for the runs, which are removed; default: of the system");
  }
};

/// A number of /proc/self/<file> behind `name`; 0 where the system does not say.
double ProcessNumber(const char* file, const std::string& name) {
  std::ifstream lines(std::string("/proc/self/") + file);
  for (std::string word; lines >> word;) {
    double number = 0;
    if (word == name && lines >> number) return number;
  }
  return 0;
}

double BytesWritten() { return ProcessNumber("io", "wchar:"); }
double ResidentMegabytes() { return 1024e-6 * ProcessNumber("status", "VmRSS:"); }
double PeakMegabytes() { return 1024e-6 * ProcessNumber("status", "VmHWM:"); }
void ForgetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

/// A folder of its own, removed with the object.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent)
      : path_((parent.empty() ? fs::temp_directory_path() : fs::path(parent)) /
              "foreplan_storage_XXXXXX") {
    std::string name = path_.string();
    if (mkdtemp(name.data()) == nullptr) {
      throw InputError(fmt::format("bench storage: folder: '{}' cannot be made: {}", name,
                                   std::generic_category().message(errno)));
    }
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Makes up episodes and learns nothing of them; saves as learners do, after an episode and after
/// what would be its fit.
class SyntheticLearner final : public Learner {
 public:
  explicit SyntheticLearner(const Sizes& sizes)
      : sizes_(sizes), data_(sizes.observations, sizes.actions) {}

  void PlayEpisode() {
    ++episodes_;
    Random random(Key{static_cast<uint64_t>(episodes_), 0});
    std::vector<double> before(static_cast<size_t>(sizes_.observations));
    std::vector<double> after(before.size());
    std::vector<double> action(static_cast<size_t>(sizes_.actions));
    for (int step = 1; step <= sizes_.steps; ++step) {
      random.FillNormal(after);
      random.FillNormal(action);
      data_.Add({.observation = before,
                 .action = action,
                 .next_observation = after,
                 .episode = episodes_,
                 .reward = after.front(),
                 .end = step < sizes_.steps ? StepEnd::kContinues : StepEnd::kTruncated});
      before = after;
    }
    const auto total_steps = static_cast<int>(data_.size());
    EpisodeRow row;
    row.episode = episodes_;
    row.controller = "synthetic";
    row.steps = sizes_.steps;
    row.total_steps = total_steps;
    row.episode_return = random.Normal();
    Tell(&RunObserver::OnEpisodeEnd, row);
    Tell(&RunObserver::OnStateComplete, *this);
    for (int metric = 0; metric < sizes_.metrics; ++metric) {
      Tell(&RunObserver::OnMetric,
           MetricRow{episodes_, total_steps, fmt::format("synthetic.metric_{}", metric),
                     random.Normal()});
    }
    Tell(&RunObserver::OnStateComplete, *this);
  }

  bool Step() override { return false; }
  void AddData(const Dataset& data) override { data_ = data; }

  void Save(TensorFile& state) const override {
    state.tensors["episodes"] = {{1}, std::vector<int32_t>{episodes_}};
  }
  void Restore(const TensorFile& state, Dataset data) override {
    episodes_ = state.Ints("episodes", std::array<int64_t, 1>{1})[0];
    data_ = std::move(data);
  }
  [[nodiscard]] TensorFile Model() const override { return {}; }
  [[nodiscard]] const Dataset& data() const override { return data_; }
  Policy& controller() override { throw std::logic_error("a synthetic learner has none"); }
  [[nodiscard]] RunTimes times() const override { return {}; }

 private:
  const Sizes sizes_;
  Dataset data_;
  int episodes_ = 0;
};

/// A run of one case.
class StoredRun {
 public:
  explicit StoredRun(const Sizes& sizes) : sizes_(sizes), folder_(sizes.folder) {
    const double before = ResidentMegabytes();
    session_ = MakeSession();
    session_->Create(folder_.path() / "run");
    while (learner().data().size() < sizes.transitions) learner().PlayEpisode();
    megabytes_ = ResidentMegabytes() - before;
    transitions_ = learner().data().size();
  }

  double SecondsPerEpisode() {
    const double before = BytesWritten();
    const double seconds = SecondsPerCall(1, [this] { learner().PlayEpisode(); });
    bytes_ = BytesWritten() - before;
    return seconds;
  }

  /// What is beside the times of episodes; the run goes on from its folder.
  void Report(BenchRow& row, std::shared_ptr<Executor> executor) {
    row["transitions"] = transitions_;
    row["steps_per_episode"] = sizes_.steps;
    row["bytes_per_episode"] = bytes_;
    row["mb_memory"] = megabytes_;
    row["ms_fit_of_one_step"] = 1e3 * SecondsOfShortestFit(std::move(executor));
    row["ms_report"] = 1e3 * SecondsPerCall(1, [this] { session_->Run(); });
    session_.reset();
    malloc_trim(0);
    ForgetPeak();
    const double before = ResidentMegabytes();
    row["ms_resume"] = 1e3 * SecondsPerCall(1, [this] {
                         session_ = MakeSession();
                         session_->Resume(folder_.path() / "run");
                       });
    row["mb_resume_peak"] = PeakMegabytes() - before;
    session_.reset();
  }

 private:
  [[nodiscard]] std::unique_ptr<RunSession> MakeSession() const {
    const auto make = [this](Experiment& /*experiment*/, const LearnerContext& /*context*/) {
      return std::make_unique<SyntheticLearner>(sizes_);
    };
    return std::make_unique<RunSession>(LoadExperiment("cartpole_closed_form", {}), 1,
                                        std::stop_token(), make, Progress::Mode::kSilent);
  }
  [[nodiscard]] SyntheticLearner& learner() {
    return dynamic_cast<SyntheticLearner&>(session_->learner());
  }

  /// Of a fit of one gradient step to all transitions: what it takes beside its gradient steps.
  double SecondsOfShortestFit(std::shared_ptr<Executor> executor) {
    EnvironmentSpec spec;
    for (int i = 0; i < sizes_.observations; ++i)
      spec.observation.push_back({fmt::format("o{}", i), ""});
    for (int i = 0; i < sizes_.actions; ++i) spec.action.push_back({fmt::format("u{}", i), ""});
    spec.action_low.assign(spec.action.size(), -1.0);
    spec.action_high.assign(spec.action.size(), 1.0);
    const EnsembleOptions options{.members = 1, .hidden_layers = 1, .width = 8};
    FitOptions fit;
    fit.min_steps = fit.max_steps = 1;
    EnsembleTrainer trainer(std::make_shared<const Ensemble>(spec, Encoding{}, options, Key{1, 0}),
                            fit, std::move(executor));
    return SecondsPerCall(1, [&] { trainer.Fit(learner().data(), Key{2, 0}); });
  }

  const Sizes sizes_;
  TemporaryFolder folder_;
  std::unique_ptr<RunSession> session_;
  int64_t transitions_ = 0;  // before the first measured episode
  double megabytes_ = 0;     // of memory that they took
  double bytes_ = 0;         // that the last episode wrote
};

Measurement Measure(const std::string& name, Sizes sizes, const BenchOptions& options) {
  RefuseFlag("storage", "--model", options.model);
  RefuseFlag("storage", "--precision", options.precision);
  options.config->Read("", sizes);
  const double row = 8.0 * (2.0 * sizes.observations + sizes.actions + 1) + 5;
  CheckMemory("bench storage: " + name, row * (sizes.transitions + sizes.steps));
  const auto run = std::make_shared<std::unique_ptr<StoredRun>>();
  Measurement measurement;
  measurement.fields = {{"case", name}};
  measurement.prepare = [=] { *run = std::make_unique<StoredRun>(sizes); };
  measurement.sample = [run] { return (*run)->SecondsPerEpisode(); };
  measurement.finish = [=, executor = options.executor](double /*median*/, BenchRow& fields) {
    (*run)->Report(fields, executor);
    run->reset();
  };
  return measurement;
}

}  // namespace

std::vector<BenchCase> StorageCases() {
  const auto make = [](const std::string& name, int transitions) -> BenchCase {
    return {name, [=](const BenchOptions& options) {
              return Measure(name, {.transitions = transitions}, options);
            }};
  };
  return {make("1e4", 10'000), make("1e5", 100'000), make("1e6", 1'000'000)};
}

}  // namespace foreplan::apps

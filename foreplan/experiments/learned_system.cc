#include "foreplan/experiments/learned_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/system_factory.h"
#include "foreplan/systems/system_types.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOwnFile = "learned_model.safetensors";
constexpr uint64_t kDrawStream = 0x64726177;
constexpr double kLargest = 1e15;  // beyond it no log is read either

SystemSpec SpecOf(const StoredModel& stored, const LearnedSystemOptions& options) {
  const std::string& where = stored.file.source;
  if (stored.kind == "physics" || stored.kind == "residual") {
    throw InputError(
        fmt::format("{}: found a model of kind '{}', expected one that needs no simulator: its own "
                    "task has one",
                    where, stored.kind));
  }
  if (stored.starts.empty()) {
    throw InputError(fmt::format(
        "{}: found no tensor 'data.starts', expected the folder of a fit or run: episodes have to "
        "begin somewhere",
        where));
  }
  SystemSpec spec;
  static_cast<EnvironmentSpec&>(spec) = stored.subject.spec;
  if (options.dt > 0) spec.dt = options.dt;
  if (!(spec.dt > 0)) {
    throw InputError(fmt::format(
        "{}: found data that do not say how long a step takes, expected system.dt [s]", where));
  }
  spec.state = spec.observation;
  if (options.sample) {
    spec.state.insert(spec.state.end(), {{"model.member", ""}, {"model.draw", ""}});
  }
  return spec;
}

class LearnedSystemFactory final : public SystemFactory {
 public:
  [[nodiscard]] std::unique_ptr<SystemFactory> Clone() const override {
    return std::make_unique<LearnedSystemFactory>(*this);
  }

  void Read(Config& config, const fs::path& directory) override {
    const std::string before = options_.model;
    config.Read("system", options_);
    if (options_.model.empty()) {
      throw InputError(fmt::format(
          "{}: found no key 'system.model', expected the folder of a fit or a run, or a model's "
          "file",
          config.name()));
    }
    if (options_.model == before) return;
    options_.model = (directory / options_.model).lexically_normal().string();
    stored_ = std::make_shared<const StoredModel>(OpenStoredModel(options_.model));
  }

  void Write(ConfigWriter& writer, const fs::path& directory) const override {
    TypedSystemOptions<LearnedSystemOptions> section{kLearnedSystemType, options_};
    if (directory.empty()) {
      section.options.model = fs::absolute(options_.model).string();
    } else {
      WriteTensors(directory / kOwnFile, stored_->file);
      section.options.model = kOwnFile;
    }
    writer.Write("system", section);
  }

  [[nodiscard]] std::unique_ptr<System> Make() const override {
    return std::make_unique<LearnedSystem>(stored_, options_);
  }

  [[nodiscard]] SystemFamily MakeFamily(
      const std::string& where, const std::vector<std::string>& /*parameters*/) const override {
    throw InputError(
        fmt::format("{}: found a learned system, expected one whose parameters have names", where));
  }

 private:
  LearnedSystemOptions options_;
  std::shared_ptr<const StoredModel> stored_;
};

/// A folder's name as a task's.
std::string NameOf(const fs::path& model) {
  std::string name = fs::absolute(model / "").lexically_normal().parent_path().filename().string();
  for (char& c : name) {
    const bool is_allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.';
    if (!is_allowed) c = '_';
  }
  return name.empty() ? "imagined" : name;
}

struct NameOption {
  std::string name;

  void Visit(OptionsVisitor& visitor) { visitor.Field("name", name, "of the task"); }
};

}  // namespace

void LearnedSystemOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("model", model, "folder of a fit or a run, or a model's file");
  visitor.Field("sample", sample,
                "steps draw from what the model says, with one member per episode; otherwise they "
                "are its mean");
  visitor.Field("dt", dt, {0, 1e6}, "control period [s]; 0: that of the model's data");
}

LearnedSystem::LearnedSystem(std::shared_ptr<const StoredModel> stored,
                             const LearnedSystemOptions& options)
    : stored_(std::move(stored)),
      options_(options),
      spec_(std::make_shared<const SystemSpec>(SpecOf(*stored_, options_))),
      dynamics_(stored_->model->snapshot()),
      workspace_(dynamics_->MakeDerivativeWorkspace(1)),
      prediction_(stored_->model->MakePredictionWorkspace(1)),
      state_(spec_->state.size()),
      action_(spec_->action.size()),
      next_(observed()),
      deviation_(observed()) {
  Reset(Key{});
}

std::unique_ptr<System> LearnedSystem::Clone() const {
  auto clone = std::make_unique<LearnedSystem>(stored_, options_);
  clone->state_ = state_;
  return clone;
}

void LearnedSystem::Reset(Key key) {
  Random random(key);
  const size_t start = random.Below(stored_->starts.size() / observed());
  std::copy_n(stored_->starts.begin() + static_cast<std::ptrdiff_t>(start * observed()), observed(),
              state_.begin());
  if (!options_.sample) return;
  constexpr int kNoDouble = 11;  // bits of 64 beyond what a double counts exactly
  const auto members = static_cast<uint64_t>(stored_->model->members());
  state_[observed()] = static_cast<double>(random.Below(members));
  state_[observed() + 1] = static_cast<double>(random.Bits64() >> kNoDouble);
}

StepOutcome LearnedSystem::Step(std::span<const double> action) {
  for (size_t i = 0; i < action.size(); ++i) {
    action_[i] = std::clamp(action[i], spec_->action_low[i], spec_->action_high[i]);
  }
  options_.sample ? StepSample() : StepMean();
  std::ranges::copy(next_, state_.begin());
  const bool ok =
      std::ranges::all_of(next_, [](double value) { return std::abs(value) <= kLargest; });
  return ok ? StepStatus::kOk : StepStatus::kDiverged;
}

void LearnedSystem::StepMean() {
  dynamics_->StepMean({.rows = 1,
                       .state = state_.data(),
                       .action = action_.data(),
                       .next_state = next_.data(),
                       .next_observation = next_.data(),
                       .key = {}},
                      *workspace_);
}

void LearnedSystem::StepSample() {
  const auto member = static_cast<int>(state_[observed()]);
  double& draw = state_[observed() + 1];
  stored_->model->Predict(member, 1, state_.data(), action_.data(), next_.data(), deviation_.data(),
                          *prediction_);
  Random random(Key{static_cast<uint64_t>(draw), kDrawStream});
  draw += 1;
  if (!stored_->model->noise_moves_state()) return;
  for (size_t i = 0; i < next_.size(); ++i) next_[i] += deviation_[i] * random.Normal();
}

void LearnedSystem::Observe(std::span<double> observation) const {
  std::copy_n(state_.begin(), observed(), observation.begin());
}

void LearnedSystem::GetState(std::span<double> state) const {
  std::ranges::copy(state_, state.begin());
}

void LearnedSystem::SetState(std::span<const double> state) {
  std::ranges::copy(state, state_.begin());
}

std::string LearnedSystem::Divergence() const {
  for (size_t i = 0; i < observed(); ++i) {
    if (std::abs(state_[i]) <= kLargest) continue;
    return fmt::format("the model predicts '{}' as {}", spec_->observation[i].name, state_[i]);
  }
  return "";
}

void LearnedSystem::Linearize(const SystemDerivatives& d) {
  const size_t no = observed();
  const size_t nu = action_.size();
  for (size_t j = 0; j < nu; ++j) {
    action_[j] = std::clamp(d.action[j], spec_->action_low[j], spec_->action_high[j]);
  }
  dynamics_->Linearize({.rows = 1, .state = d.state, .action = action_.data(), .A = d.A, .B = d.B},
                       *workspace_);
  for (size_t j = 0; j < nu; ++j) {
    if (action_[j] == d.action[j]) continue;
    for (size_t i = 0; i < no; ++i) d.B[i * nu + j] = 0;
  }
}

void LearnedSystem::ObservationJacobian(std::span<const double> /*state*/,
                                        std::span<double> jacobian) {
  std::ranges::fill(jacobian, 0.0);
  for (size_t i = 0; i < observed(); ++i) jacobian[i * observed() + i] = 1;
}

void RegisterLearnedSystem() {
  static const bool registered = [] {
    RegisterSystem(kLearnedSystemType,
                   [](const std::string& /*type*/) -> std::unique_ptr<SystemFactory> {
                     return std::make_unique<LearnedSystemFactory>();
                   });
    return true;
  }();
  static_cast<void>(registered);
}

bool IsImagined(const Task& task) {
  return task.has_system() &&
         dynamic_cast<const LearnedSystem*>(task.MakeSystem().get()) != nullptr;
}

std::shared_ptr<const Dynamics> DynamicsOf(const System& system) {
  if (const auto* learned = dynamic_cast<const LearnedSystem*>(&system)) return learned->dynamics();
  return std::make_shared<const TrueDynamics>(system);
}

std::pair<Task, Config> LoadImaginedTask(const fs::path& model,
                                         const std::vector<std::string>& assignments) {
  RegisterLearnedSystem();
  NameOption name{NameOf(model)};
  TypedSystemOptions<LearnedSystemOptions> system{kLearnedSystemType,
                                                  {.model = fs::absolute(model).string()}};
  Encoding encoding = OpenStoredModel(model).subject.encoding;
  ConfigWriter writer;
  writer.Write("", name);
  writer.Write("system", system);
  writer.Write("encoding", encoding);
  Config config = Config::FromString(writer.text(), model.string());
  for (const std::string& assignment : assignments) config.Set(assignment);
  Task task = Task::FromConfig(config, "");
  return {std::move(task), std::move(config)};
}

}  // namespace foreplan

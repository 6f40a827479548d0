#include "foreplan/policies/stored_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/models/read_subject.h"
#include "foreplan/policies/onnx_policy.h"
#include "foreplan/policies/policy_of_subject.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCovariance = "policy.covariance";  // tells a network policy
constexpr const char* kOptionsKey = "options";
constexpr const char* kSubjectKey = "subject";

void CheckHoldsPolicy(const TensorFile& file) {
  if (HoldsPolicy(file)) return;
  throw InputError(
      fmt::format("{}: found no tensors 'policy.*', expected the run of a learner whose policy is "
                  "a function of the observation ({})",
                  file.source, kPolicyLearners));
}

Config OptionsOf(const TensorFile& file) {
  CheckHoldsPolicy(file);
  const auto options = file.metadata.find(kOptionsKey);
  if (options == file.metadata.end()) {
    throw InputError(fmt::format(
        "{}: found no metadata '{}', expected a policy that says how it is made, or the folder of "
        "the run that it is of",
        file.source, kOptionsKey));
  }
  return Config::FromString(options->second,
                            fmt::format("{}: metadata '{}'", file.source, kOptionsKey));
}

const char* SectionOf(const TensorFile& file) {
  return file.tensors.contains(kCovariance) ? kBackpropPolicySection : kSquashedPolicySection;
}

/// The file of a run's model says how the model is made, and not the policy beside it.
bool SaysHowItIsMade(const TensorFile& file) {
  return file.metadata.contains(kOptionsKey) && OptionsOf(file).Has(SectionOf(file));
}

/// The options in the section, which are written to `kept`, too.
template <typename Options>
Options OptionsIn(const char* section, Config& config, TensorFile& kept) {
  if (!config.Has(section)) {
    throw InputError(
        fmt::format("{}: found no section [{}], expected it to say how '{}*' is made; the folder "
                    "of its run does",
                    config.name(), section, kPolicyPrefix));
  }
  auto options = ReadOptions<Options>(config, section);
  ConfigWriter writer;
  writer.Write(section, options);
  kept.metadata[kOptionsKey] = writer.text();
  return options;
}

/// What `make` gives, with the numbers of `file`, which are written to `kept`, too.
template <typename Learned, typename Options>
std::shared_ptr<const Learned> Restored(Learned (*make)(const ModelSubject&, const Options&, Key),
                                        const ModelSubject& subject, const Options& options,
                                        const TensorFile& file, TensorFile& kept) {
  std::shared_ptr<Learned> policy;
  try {
    policy = std::make_shared<Learned>(make(subject, options, Key{}));
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", file.source, error.what()));
  }
  policy->Restore(kPolicyPrefix, file);
  policy->Save(kPolicyPrefix, kept);
  return policy;
}

class NetworkActor final : public Policy {
 public:
  NetworkActor(NetworkPolicy policy, PolicyAction action)
      : policy_(std::move(policy)), action_(action) {}

  void Act(const Situation& situation, std::span<double> action) override {
    if (action_ == PolicyAction::kSampled) return policy_.Act(situation, action);
    policy_.ActByMean(situation.observation, action);
  }

 private:
  NetworkPolicy policy_;  // its own, as acting needs its workspace
  PolicyAction action_;
};

class SharedSquashedActor final : public Policy {
 public:
  SharedSquashedActor(std::shared_ptr<const SquashedGaussianPolicy> policy, PolicyAction action)
      : policy_(std::move(policy)), actor_(*policy_, action) {}

  void Act(const Situation& situation, std::span<double> action) override {
    actor_.Act(situation, action);
  }

 private:
  std::shared_ptr<const SquashedGaussianPolicy> policy_;
  SquashedActor actor_;
};

std::unique_ptr<Policy> ActorOf(const std::shared_ptr<const NetworkPolicy>& policy,
                                PolicyAction action) {
  return std::make_unique<NetworkActor>(*policy, action);
}

std::unique_ptr<Policy> ActorOf(const std::shared_ptr<const SquashedGaussianPolicy>& policy,
                                PolicyAction action) {
  return std::make_unique<SharedSquashedActor>(policy, action);
}

}  // namespace

bool HoldsPolicy(const TensorFile& model) {
  return std::ranges::any_of(
      model.tensors, [](const auto& tensor) { return tensor.first.starts_with(kPolicyPrefix); });
}

StoredPolicy StoredPolicy::Open(const fs::path& path) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const fs::path model = is_folder ? path / "model" / "model.safetensors" : path;
  const TensorFile file = ReadTensors(model);
  CheckHoldsPolicy(file);
  const fs::path config = fs::absolute(model, error).parent_path().parent_path() / "config.toml";
  const bool is_of_a_run = is_folder || fs::is_regular_file(config, error);
  if (SaysHowItIsMade(file) || !is_of_a_run) return StoredPolicy(file);
  return {file, Config::FromFile(config)};
}

StoredPolicy::StoredPolicy(const TensorFile& file) : StoredPolicy(file, OptionsOf(file)) {}

StoredPolicy::StoredPolicy(const TensorFile& file, Config config)
    : subject_(ReadSubjectOfPolicy(file)) {
  file_.source = file.source;
  file_.metadata[kSubjectKey] = file.metadata.at(kSubjectKey);
  const char* section = SectionOf(file);
  if (file.tensors.contains(kCovariance)) {
    const auto options = OptionsIn<BackpropPolicyOptions>(section, config, file_);
    policy_ = Restored(MakeBackpropPolicy, subject_, options, file, file_);
  } else {
    const auto options = OptionsIn<SquashedGaussianOptions>(section, config, file_);
    policy_ = Restored(MakeSquashedPolicy, subject_, options, file, file_);
  }
}

std::unique_ptr<Policy> StoredPolicy::MakeActor(PolicyAction action) const {
  return std::visit([&](const auto& policy) { return ActorOf(policy, action); }, policy_);
}

OnnxGraph StoredPolicy::Graph() const {
  return std::visit([](const auto& policy) { return PolicyGraph(*policy); }, policy_);
}

}  // namespace foreplan

// A policy as others find it: in the folder of its run, or as its file alone.
#pragma once

#include <filesystem>
#include <memory>
#include <variant>

#include "foreplan/core/config.h"
#include "foreplan/data/onnx_graph.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/model_subject.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/policies/policy.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {
/// Algorithms whose runs learn a policy of the observation, for messages.
inline constexpr const char* kPolicyLearners = "dhmbpo, mbpo, policy_backprop, sac, svg";

/// Whether the file of a run's model holds a policy of the observation beside it.
[[nodiscard]] bool HoldsPolicy(const TensorFile& model);

/// A policy that a run learned, and what it is of. Never changes again; shared between threads.
class StoredPolicy {
 public:
  /// `path`: the folder of a run, the file of its model where it lies, or what `foreplan export
  /// --what policy --format safetensors` wrote. Throws InputError naming file, tensor or key, found
  /// and expected.
  [[nodiscard]] static StoredPolicy Open(const std::filesystem::path& path);
  /// Of a file that says how its policy is made. Throws InputError.
  explicit StoredPolicy(const TensorFile& file);

  /// Names, units and bounds of observation and action; the period of what it learned on.
  [[nodiscard]] const EnvironmentSpec& spec() const { return subject_.spec; }
  /// Acts by the policy, of which it keeps a share. For one thread at a time.
  [[nodiscard]] std::unique_ptr<Policy> MakeActor(PolicyAction action) const;
  /// policies/onnx_policy.h.
  [[nodiscard]] OnnxGraph Graph() const;
  /// All of it: what is written of it can be opened alone. Tensors "policy.*"; what it is of under
  /// "subject"; under "options" the section that makes it.
  [[nodiscard]] const TensorFile& file() const { return file_; }

 private:
  /// `config`: says how it is made.
  StoredPolicy(const TensorFile& file, Config config);

  ModelSubject subject_;
  TensorFile file_;
  std::variant<std::shared_ptr<const NetworkPolicy>, std::shared_ptr<const SquashedGaussianPolicy>>
      policy_;
};

}  // namespace foreplan

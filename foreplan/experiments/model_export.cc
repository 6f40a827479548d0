#include "foreplan/experiments/model_export.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/learners/policy_backprop.h"
#include "foreplan/models/ensembles/onnx_ensemble.h"
#include "foreplan/models/read_subject.h"
#include "foreplan/policies/onnx_policy.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPolicyPrefix = "policy.";
constexpr const char* kPolicySection = "policy_backprop.policy";

std::string SubjectText(const TensorFile& file) {
  const auto subject = file.metadata.find("subject");
  return subject == file.metadata.end() ? "" : subject->second;
}

/// The tensors of a run's policy with what it is of and how it is made.
TensorFile PolicyTensors(const RunDirectory& folder) {
  const TensorFile model = ReadTensors(folder.model_file());
  TensorFile file;
  file.source = model.source;
  for (const auto& [name, tensor] : model.tensors) {
    if (name.starts_with(kPolicyPrefix)) file.tensors[name] = tensor;
  }
  if (file.tensors.empty()) {
    throw InputError(
        fmt::format("{}: found no tensors 'policy.*', expected the run of a learner whose policy "
                    "is a function of the observation (policy_backprop)",
                    model.source));
  }
  file.metadata["subject"] = SubjectText(model);
  Config config = Config::FromFile(folder.config_file());
  auto options = ReadOptions<BackpropPolicyOptions>(config, kPolicySection);
  ConfigWriter writer;
  writer.Write(kPolicySection, options);
  file.metadata["options"] = writer.text();
  return file;
}

}  // namespace

ExportedFile ModelAsTensors(const fs::path& source) {
  const StoredModel stored = OpenStoredModel(source);
  return {SerializeTensors(stored.file, source.string()), SubjectText(stored.file)};
}

ExportedFile ModelAsOnnx(const fs::path& source) {
  const StoredModel stored = OpenStoredModel(source);
  const auto dynamics = stored.model->snapshot();
  const auto* ensemble = dynamic_cast<const Ensemble*>(dynamics.get());
  if (ensemble == nullptr) {
    throw InputError(
        fmt::format("{}: found a model of kind '{}', expected an ensemble for ONNX: the step of "
                    "other kinds is that of a simulator",
                    source.string(), stored.kind));
  }
  return {EnsembleGraph(*ensemble).Model(stored.file.metadata), SubjectText(stored.file)};
}

ExportedFile PolicyAsTensors(const fs::path& run) {
  const RunDirectory folder = RunDirectory::OpenModel(run);
  const TensorFile file = PolicyTensors(folder);
  return {SerializeTensors(file, run.string()), SubjectText(file)};
}

ExportedFile PolicyAsOnnx(const fs::path& run) {
  const RunDirectory folder = RunDirectory::OpenModel(run);
  const TensorFile file = PolicyTensors(folder);
  Config config = Config::FromFile(folder.config_file());
  NetworkPolicy policy = MakeBackpropPolicy(
      ReadSubject(file), ReadOptions<BackpropPolicyOptions>(config, kPolicySection), Key{});
  policy.Restore(kPolicyPrefix, file);
  return {PolicyGraph(policy).Model(file.metadata), SubjectText(file)};
}

}  // namespace foreplan

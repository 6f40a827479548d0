#include "foreplan/experiments/model_export.h"

#include <fmt/format.h>

#include <string>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/models/ensembles/onnx_ensemble.h"
#include "foreplan/policies/stored_policy.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

std::string SubjectText(const TensorFile& file) {
  const auto subject = file.metadata.find("subject");
  return subject == file.metadata.end() ? "" : subject->second;
}

/// Of a folder it is said what is missing there.
StoredPolicy OpenPolicy(const fs::path& source) {
  std::error_code error;
  if (!fs::is_regular_file(source, error)) static_cast<void>(RunDirectory::OpenModel(source));
  return StoredPolicy::Open(source);
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

ExportedFile PolicyAsTensors(const fs::path& source) {
  const StoredPolicy policy = OpenPolicy(source);
  return {SerializeTensors(policy.file(), source.string()), SubjectText(policy.file())};
}

ExportedFile PolicyAsOnnx(const fs::path& source) {
  const StoredPolicy policy = OpenPolicy(source);
  return {policy.Graph().Model(policy.file().metadata), SubjectText(policy.file())};
}

}  // namespace foreplan

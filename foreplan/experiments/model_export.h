// Models and policies as other programs read them.
#pragma once

#include <filesystem>
#include <string>

#include "foreplan/data/safetensors.h"

namespace foreplan {

/// What is exported of the folder of a run or a fit.
struct ExportedFile {
  std::string bytes;
  std::string subject;  // JSON, what it is of (docs/model_files.md)
};

/// The model of a folder, or of a file model.safetensors: all that it takes to predict.
/// Throws InputError naming the file.
[[nodiscard]] ExportedFile ModelAsTensors(const std::filesystem::path& source);
/// The whole step as a graph of ONNX (models/ensembles/onnx_ensemble.h), with the metadata of the
/// file. Throws InputError for models that are no ensembles alone.
[[nodiscard]] ExportedFile ModelAsOnnx(const std::filesystem::path& source);

/// The policy of a run's folder, or of a file that StoredPolicy opens: tensors "policy.*", what it
/// is of, and under "options" the section that makes it. Throws InputError where there is none.
[[nodiscard]] ExportedFile PolicyAsTensors(const std::filesystem::path& source);
/// The same as a graph of ONNX (policies/onnx_policy.h).
[[nodiscard]] ExportedFile PolicyAsOnnx(const std::filesystem::path& source);

}  // namespace foreplan

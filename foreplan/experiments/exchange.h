// What foreplan keeps as other programs read it: transitions, models, policies.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "foreplan/data/recording.h"

namespace foreplan {

struct DataExport {
  std::filesystem::path file;  // of Minari a folder
  Recording recording;
};

/// Transitions of the folder of a run or a fit, or of a file of data (ReadStoredData), as `kind`:
///   csv, npz   data/log_writer.h
///   hdf5       flat arrays as D4RL has them (data/minari_writer.h)
///   minari     the folder of a Minari data set
/// `out` must not exist; empty: the source's name, here. Throws InputError, RunError.
DataExport ExportData(const std::filesystem::path& source, const std::string& kind,
                      const std::filesystem::path& out);
[[nodiscard]] std::vector<std::string> DataKinds();

struct ModelExport {
  std::filesystem::path file;
  size_t bytes = 0;
  std::string subject;  // JSON, what it is of (docs/model_files.md); "": not known
};

/// What was learned, `what` = model or policy, as `kind` = safetensors or onnx
/// (experiments/model_export.h). `out` as above.
ModelExport ExportModel(const std::filesystem::path& source, const std::string& kind,
                        const std::string& what, const std::filesystem::path& out);
[[nodiscard]] std::vector<std::string> ModelFileKinds();

}  // namespace foreplan

// A model as others find it: in the folder of a fit or a run, or as its file alone.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/model_subject.h"

namespace foreplan {

/// Whether it has something of how a system moves: a run may have learned a policy alone.
[[nodiscard]] bool HoldsModel(const TensorFile& file);
/// Adds to the file's metadata, under "options", the sections of the configuration that make the
/// model: [model] and what belongs to its kind, as TOML.
void WriteModelSections(Config& config, TensorFile& file);
/// Adds the tensor "data.starts": the first observations of the data's episodes, [at most 4096 x
/// no], of more episodes evenly chosen ones.
void WriteStarts(const Dataset& data, TensorFile& file);

/// Never changes again; shared between threads.
struct StoredModel {
  ModelSubject subject;
  std::shared_ptr<const LearnedModel> model;
  std::string kind;            // model.kind
  std::vector<double> starts;  // [starts x no]; empty: nobody knows where episodes begin
  TensorFile file;             // all of it: what is written of it can be used alone
};

/// `path`: the folder of a fit or a run, or a file model.safetensors that says how its model is
/// made. Of folders, models whose kind needs a system take the task of the folder's configuration.
/// Throws InputError naming the file.
[[nodiscard]] StoredModel OpenStoredModel(
    const std::filesystem::path& path,
    std::shared_ptr<Executor> executor = std::make_shared<SerialExecutor>());

struct LoadedModel {
  ModelSubject subject;
  std::unique_ptr<LearnedModel> model;
};

/// The model of a file that says how it is made, which may be fitted further: of the task, where
/// one is given, else of what the file says that it is of. `key`: of its fits. Throws InputError
/// naming file, tensor or key, found and expected; also where the task is of something else.
[[nodiscard]] LoadedModel LoadModel(const TensorFile& file, const std::optional<Task>& task,
                                    Key key, std::shared_ptr<Executor> executor);

/// Data with the names, units and period that are known of them: the transitions of the folder of a
/// fit or a run, as it says, or a file of data (recording.h) by `columns` and `options`. Throws
/// InputError.
[[nodiscard]] Recording ReadStoredData(const std::filesystem::path& source,
                                       const RecordingColumns& columns = {},
                                       const LogOptions& options = {});

}  // namespace foreplan

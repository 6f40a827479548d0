// Models to go on with, from files of foreplan or of who wrote the same tensors.
#pragma once

#include <memory>
#include <optional>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/model_subject.h"

namespace foreplan {

struct LoadedModel {
  ModelSubject subject;
  std::unique_ptr<LearnedModel> model;
};

/// The model of a file (docs/model_files.md), which may be fitted further: of the task, where one
/// is given, else of what the file says that it is of. `key`: of its fits. Throws InputError naming
/// file, tensor or key, found and expected; also where the task is of something else.
[[nodiscard]] LoadedModel LoadModel(const TensorFile& file, const std::optional<Task>& task,
                                    Key key, std::shared_ptr<Executor> executor);

}  // namespace foreplan

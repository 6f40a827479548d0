// What a model is of, and how its file says so: sizes alone would let one system's model drive
// another.
#pragma once

#include <optional>
#include <utility>

#include "foreplan/data/safetensors.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// What a model is of: a task, or data of which nothing is known but their names.
struct ModelSubject {
  ModelSubject(const Task& of_task)  // NOLINT(google-explicit-constructor): a task is a subject
      : spec(of_task.spec()), encoding(of_task.encoding()), task(of_task) {}
  ModelSubject(EnvironmentSpec of_spec, Encoding of_encoding)
      : spec(std::move(of_spec)), encoding(std::move(of_encoding)) {}

  EnvironmentSpec spec;
  Encoding encoding;
  std::optional<Task> task;
};

/// Adds to the file's metadata, under "subject": names and units of observation and action, control
/// period [s], encoding.
void WriteSubject(const ModelSubject& subject, TensorFile& file);

/// Throws InputError naming the file and the first difference when what it is of differs: count,
/// names and their order, units and control period where both are known, encoding. A file that does
/// not say what it is of (of a version before) passes.
void CheckSubject(const ModelSubject& subject, const TensorFile& file);

}  // namespace foreplan

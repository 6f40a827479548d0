#include "foreplan/experiments/loaded_model.h"

#include <fmt/format.h>

#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/models/read_subject.h"

namespace foreplan {

LoadedModel LoadModel(const TensorFile& file, const std::optional<Task>& task, Key key,
                      std::shared_ptr<Executor> executor) {
  constexpr const char* kOptionsKey = "options";
  const auto options = file.metadata.find(kOptionsKey);
  if (options == file.metadata.end()) {
    throw InputError(
        fmt::format("{}: found no metadata '{}', expected a model that says how it is made",
                    file.source, kOptionsKey));
  }
  Config config = Config::FromString(options->second,
                                     fmt::format("{}: metadata '{}'", file.source, kOptionsKey));
  ModelSubject subject = task ? ModelSubject(*task) : ReadSubject(file);
  auto model = MakeLearnedModel(subject, config, key, std::move(executor));
  CheckSubject(subject, file);
  model->RestorePredictor(file);
  return {std::move(subject), std::move(model)};
}

}  // namespace foreplan

// Learned models as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/data/safetensors.h"
#include "foreplan/models/learned_model.h"
#include "python/bindings/arrays.h"
#include "python/bindings/tasks.h"

namespace foreplan::python {

/// A model of a task's observations.
class PythonModel {
 public:
  PythonModel(const PythonTask& task, const std::vector<std::string>& assignments, int seed,
              int threads);
  /// The model of a file's bytes, of `task` or, where that is None, of what they say it is of.
  /// `name`: of the file, for messages.
  PythonModel(const nb::bytes& bytes, const std::string& name, const PythonTask* task, int seed,
              int threads);

  /// Forgets nothing of before but the data. {metric: value}.
  nb::dict Fit(nb::handle observation, nb::handle action, nb::handle next_observation,
               nb::handle reward, nb::handle terminated, nb::handle episode);
  /// Mean and deviation of the next observation, of all members together.
  nb::tuple Predict(nb::handle observation, nb::handle action) const;
  /// A draw of the next observation: a member, drawn where `member` is None, and its noise.
  NumpyArray Sample(nb::handle observation, nb::handle action, int seed, nb::handle member) const;
  /// Derivatives of the mean, (A, B): [n x no x no], [n x no x nu].
  nb::tuple Linearize(nb::handle observation, nb::handle action) const;
  [[nodiscard]] nb::bytes Save() const;
  /// The file of a model (docs/model_files.md): without what only a next fit needs.
  void Write(const std::string& path) const;
  void Restore(const nb::bytes& bytes);

  /// What can be told of the last fit, as json.loads makes it.
  [[nodiscard]] JsonObject Describe() const;

  [[nodiscard]] ModelVersion version() const { return model_->version(); }
  [[nodiscard]] int observation_dim() const { return observation_dim_; }
  [[nodiscard]] int action_dim() const { return action_dim_; }
  [[nodiscard]] int members() const { return model_->members(); }

 private:
  PythonModel(const TensorFile& file, const PythonTask* task, int seed, int threads);
  [[nodiscard]] TensorFile Described() const;

  std::shared_ptr<Raised> raised_ = std::make_shared<Raised>();
  std::shared_ptr<PythonExecutor> executor_;
  std::map<std::string, std::string> metadata_;  // of files: what it is of, how it is made
  std::unique_ptr<LearnedModel> model_;
  int observation_dim_;
  int action_dim_;
  int seed_;
  int fits_ = 0;
};

void BindModels(nb::module_& module);

}  // namespace foreplan::python

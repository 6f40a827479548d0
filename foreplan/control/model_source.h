// Where a controller takes its model from.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <utility>

#include "foreplan/models/learned_model.h"
#include "foreplan/models/model_version.h"

namespace foreplan {

/// Asked before every decision.
class ModelSource {
 public:
  /// Always this model.
  template <std::derived_from<Dynamics> Model>
  ModelSource(std::shared_ptr<Model> model)  // NOLINT(google-explicit-constructor)
      : present_([fixed = ModelVersion{std::move(model)}] { return fixed; }) {}
  /// The version of a learned model that stands then.
  template <std::derived_from<LearnedModel> Model>
  ModelSource(std::shared_ptr<Model> model)  // NOLINT(google-explicit-constructor)
      : present_([learned = std::move(model)] { return learned->version(); }) {}
  /// What a function says.
  explicit ModelSource(std::function<ModelVersion()> present) : present_(std::move(present)) {}

  [[nodiscard]] ModelVersion operator()() const { return present_(); }

 private:
  std::function<ModelVersion()> present_;
};

}  // namespace foreplan

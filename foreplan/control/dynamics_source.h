// Where a controller takes its model from.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <utility>

#include "foreplan/models/dynamics.h"
#include "foreplan/models/learned_model.h"

namespace foreplan {

/// Asked before every decision.
class DynamicsSource {
 public:
  /// Always this model.
  template <std::derived_from<Dynamics> Model>
  DynamicsSource(std::shared_ptr<Model> model)  // NOLINT(google-explicit-constructor)
      : present_([fixed = std::shared_ptr<const Dynamics>(std::move(model))] { return fixed; }) {}
  /// The version of a learned model that stands then.
  template <std::derived_from<LearnedModel> Model>
  DynamicsSource(std::shared_ptr<Model> model)  // NOLINT(google-explicit-constructor)
      : present_([learned = std::move(model)] { return learned->snapshot(); }) {}
  /// What a function says.
  explicit DynamicsSource(std::function<std::shared_ptr<const Dynamics>()> present)
      : present_(std::move(present)) {}

  [[nodiscard]] std::shared_ptr<const Dynamics> operator()() const { return present_(); }

 private:
  std::function<std::shared_ptr<const Dynamics>()> present_;
};

}  // namespace foreplan

// A policy with one action that a test writes down.
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "foreplan/policies/policy.h"

namespace foreplan::testing {

/// Given by a function of the situation.
class FunctionPolicy : public Policy {
 public:
  using Function = std::function<double(const Situation&)>;
  explicit FunctionPolicy(Function function) : function_(std::move(function)) {}
  void Reset(Key key) override { reset_key = key; }
  void Act(const Situation& situation, std::span<double> action) override {
    action[0] = function_(situation);
  }

  Key reset_key;

 private:
  Function function_;
};

}  // namespace foreplan::testing

// Closed-form systems whose state is their observation, made from a formula.
#pragma once

#include <array>
#include <memory>

#include "foreplan/core/random.h"
#include "foreplan/systems/closed_form/closed_form.h"

namespace foreplan {

/// A formula has Options (with `ResetOptions reset`), kStateDim, kActionDim, kPositions (state
/// entries that the position noise of a reset moves; the velocity noise moves the rest), and
///   static SystemSpec Spec(const Options&)
///   static std::array<double, kStateDim> Start(const Options&)
///   template <typename T> static void Step(const Options&, const T* x, const T* u, T* next)
/// and, to be seen,
///   static std::unique_ptr<Picture> MakePicture(const Options&)
template <typename Formula>
class FormulaSystem final : public ClosedFormOf<FormulaSystem<Formula>, Formula::kStateDim,
                                                Formula::kActionDim, Formula::kStateDim> {
  using Base = ClosedFormOf<FormulaSystem<Formula>, Formula::kStateDim, Formula::kActionDim,
                            Formula::kStateDim>;

 public:
  using Options = typename Formula::Options;

  explicit FormulaSystem(const Options& options = {})
      : Base(Formula::Spec(options)), options_(options) {}

  [[nodiscard]] std::unique_ptr<System> Clone() const override {
    return std::make_unique<FormulaSystem>(*this);
  }

  [[nodiscard]] std::unique_ptr<Picture> MakePicture() const override {
    if constexpr (requires { Formula::MakePicture(options_); }) {
      return Formula::MakePicture(options_);
    }
    return nullptr;
  }

  void Reset(Key key) override {
    Random random(key);
    std::array<double, Formula::kStateDim> start = Formula::Start(options_);
    for (size_t i = 0; i < start.size(); ++i) {
      const bool position = i < static_cast<size_t>(Formula::kPositions);
      const double scale = position ? options_.reset.position : options_.reset.velocity;
      start[i] += options_.reset.Draw(scale, random);
    }
    this->SetState(start);
  }

  template <typename T>
  std::array<T, Formula::kStateDim> Next(const std::array<T, Formula::kStateDim>& x,
                                         const std::array<T, Formula::kActionDim>& u) const {
    std::array<T, Formula::kStateDim> next;
    Formula::Step(options_, x.data(), u.data(), next.data());
    return next;
  }
  template <typename T>
  std::array<T, Formula::kStateDim> Observation(const std::array<T, Formula::kStateDim>& x) const {
    return x;
  }

 private:
  Options options_;
};

}  // namespace foreplan

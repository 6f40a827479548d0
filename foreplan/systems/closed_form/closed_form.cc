#include "foreplan/systems/closed_form/closed_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/systems/closed_form/acrobot.h"
#include "foreplan/systems/closed_form/car.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/closed_form/frictionless_cartpole.h"
#include "foreplan/systems/closed_form/pendulum.h"
#include "foreplan/systems/closed_form/pilco_cartpole.h"
#include "foreplan/systems/closed_form/planar_quadrotor.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/closed_form/unicycle.h"

namespace foreplan {
namespace {

/// `MySystem` has a nested `Options` with a `ResetOptions reset` and is made from it.
template <typename MySystem>
class ClosedFormFactory final : public SystemFactory {
 public:
  [[nodiscard]] std::unique_ptr<SystemFactory> Clone() const override {
    return std::make_unique<ClosedFormFactory>(*this);
  }
  explicit ClosedFormFactory(std::string type) : type_(std::move(type)) {}

  void Read(Config& config, const std::filesystem::path&) override {
    config.Read("system", options_);
    config.Read("system.reset", options_.reset);
  }

  void Write(ConfigWriter& writer, const std::filesystem::path&) const override {
    TypedSystemOptions<typename MySystem::Options> section{type_, options_};
    writer.Write("system", section);
    writer.Write("system.reset", section.options.reset);
  }

  [[nodiscard]] std::unique_ptr<System> Make() const override {
    return std::make_unique<MySystem>(options_);
  }

  [[nodiscard]] SystemFamily MakeFamily(const std::string& where,
                                        const std::vector<std::string>& parameters) const override {
    return [factory = *this, where, parameters](std::span<const double> values) {
      std::string text = "[system]\n";
      for (size_t i = 0; i < parameters.size(); ++i) {
        text += fmt::format("{} = {}\n", parameters[i], values[i]);
      }
      Config changes = Config::FromString(text, where);
      ClosedFormFactory changed = factory;
      changed.Read(changes, {});
      changes.ThrowOnUnknownKeys();
      return changed.Make();
    };
  }

 private:
  std::string type_;
  typename MySystem::Options options_;
};

template <typename MySystem>
std::unique_ptr<SystemFactory> MakeFactoryOf(const std::string& type) {
  return std::make_unique<ClosedFormFactory<MySystem>>(type);
}

// Every closed-form system, by the name it has in task files.
const std::array kClosedForms{
    std::pair{"acrobot", &MakeFactoryOf<Acrobot>},
    std::pair{"car", &MakeFactoryOf<Car>},
    std::pair{"cartpole", &MakeFactoryOf<CartPole>},
    std::pair{"frictionless_cartpole", &MakeFactoryOf<FrictionlessCartPole>},
    std::pair{"pendulum", &MakeFactoryOf<Pendulum>},
    std::pair{"pilco_cartpole", &MakeFactoryOf<PilcoCartPole>},
    std::pair{"planar_quadrotor", &MakeFactoryOf<PlanarQuadrotor>},
    std::pair{"quadrotor", &MakeFactoryOf<Quadrotor>},
    std::pair{"unicycle", &MakeFactoryOf<Unicycle>},
};

/// Index of the first entry that is NaN or infinite; `values.size()` if there is none.
size_t FirstNonFinite(std::span<const double> values) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [](double value) { return !std::isfinite(value); });
  return static_cast<size_t>(found - values.begin());
}

}  // namespace

ClosedFormSystem::ClosedFormSystem(SystemSpec spec)
    : spec_(std::make_shared<const SystemSpec>(std::move(spec))),
      state_(spec_->state.size()),
      action_(spec_->action.size()) {}

StepOutcome ClosedFormSystem::Step(std::span<const double> action) {
  if (fault_.kind != Fault::Kind::kNone) return StepStatus::kDiverged;
  if (const size_t index = FirstNonFinite(action); index < action.size()) {
    fault_ = {Fault::Kind::kAction, index};
    return StepStatus::kDiverged;
  }
  for (size_t i = 0; i < action.size(); ++i) {
    action_[i] = std::clamp(action[i], spec_->action_low[i], spec_->action_high[i]);
  }
  Advance(action_, state_);
  if (const size_t index = FirstNonFinite(state_); index < state_.size()) {
    fault_ = {Fault::Kind::kState, index};
    return StepStatus::kDiverged;
  }
  return StepStatus::kOk;
}

void ClosedFormSystem::GetState(std::span<double> state) const {
  std::copy(state_.begin(), state_.end(), state.begin());
}

void ClosedFormSystem::SetState(std::span<const double> state) {
  std::copy(state.begin(), state.end(), state_.begin());
  fault_ = {};
}

std::string ClosedFormSystem::Divergence() const {
  switch (fault_.kind) {
    case Fault::Kind::kNone:
      break;
    case Fault::Kind::kAction:
      return fmt::format("action '{}' is not finite", spec_->action[fault_.index].name);
    case Fault::Kind::kState:
      return fmt::format("state '{}' is {}", spec_->state[fault_.index].name,
                         WithoutSignOfNan(state_[fault_.index]));
  }
  return "";
}

std::unique_ptr<SystemFactory> MakeClosedFormFactory(const std::string& name) {
  for (const auto& [known, make] : kClosedForms) {
    if (name == known) return make(name);
  }
  throw UnknownName("system.type", "closed-form system", name, ClosedFormNames());
}

std::vector<std::string> ClosedFormNames() {
  std::vector<std::string> names;
  names.reserve(kClosedForms.size());
  for (const auto& [name, make] : kClosedForms) names.emplace_back(name);
  return names;
}

}  // namespace foreplan

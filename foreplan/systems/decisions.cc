#include "foreplan/systems/decisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/rewards/expression_reward.h"

namespace foreplan {

DecisionRule::DecisionRule(const EnvironmentSpec& spec, const DecisionOptions& options)
    : options_(options),
      dt_(spec.dt),
      nu_(spec.action.size()),
      observed_(spec.observation.size()),
      low_(spec.action_low),
      high_(spec.action_high) {
  const auto add = [&](const std::string& prefix) {
    const size_t first = added_.size();
    for (const Component& action : spec.action)
      added_.push_back({prefix + action.name, action.unit});
    return first;
  };
  if (options_.observes_time) added_.push_back({kTimeComponent, "s"});
  if (filters()) first_filtered_ = add("filtered_");
  if (options_.observes_previous_action) first_previous_ = add(kPreviousPrefix);
  for (const Component& component : added_) {
    if (std::ranges::find(spec.observation, component.name, &Component::name) ==
        spec.observation.end()) {
      continue;
    }
    throw InputError(fmt::format(
        "observation: found a component '{}', which the task adds, expected another name",
        component.name));
  }
}

EnvironmentSpec DecisionRule::SpecOf(EnvironmentSpec spec) const {
  spec.dt *= options_.repeat;
  spec.observation.insert(spec.observation.end(), added_.begin(), added_.end());
  return spec;
}

std::vector<KnownMotion> DecisionRule::motions() const {
  std::vector<KnownMotion> motions;
  const auto component = [&] { return static_cast<int>(observed_ + motions.size()); };
  if (options_.observes_time) {
    motions.push_back({.component = component(), .keep = 1, .offset = dt_ * options_.repeat});
  }
  const auto of_actions = [&](double keep) {
    for (size_t i = 0; i < nu_; ++i) {
      motions.push_back({.component = component(),
                         .keep = keep,
                         .action = static_cast<int>(i),
                         .gain = 1 - keep});
    }
  };
  if (filters()) of_actions(KeepAfter(options_.repeat));
  if (options_.observes_previous_action) of_actions(0);
  return motions;
}

std::vector<std::string> DecisionRule::NotOfTheMotion() const {
  std::vector<std::string> names;
  if (options_.observes_time) names.emplace_back(kTimeComponent);
  if (!options_.observes_previous_action) return names;
  for (size_t i = first_previous_; i < added_.size(); ++i) names.push_back(added_[i].name);
  return names;
}

double DecisionRule::KeepAfter(int periods) const {
  return std::exp(-periods * dt_ / options_.filter);
}

double DecisionRule::Inside(size_t i, double decision) const {
  return std::clamp(decision, low_[i], high_[i]);
}

void DecisionRule::Start(std::span<double> z) const {
  std::ranges::fill(z, 0.0);
  for (size_t i = 0; i < nu_; ++i) {
    if (filters()) z[first_filtered_ + i] = Inside(i, 0);
    if (options_.observes_previous_action) z[first_previous_ + i] = Inside(i, 0);
  }
}

void DecisionRule::BeginPeriod(std::span<const double> decision, std::span<double> z,
                               std::span<double> applied) const {
  if (options_.observes_time) z[0] += dt_;
  const double keep = filters() ? KeepAfter(1) : 0;
  for (size_t i = 0; i < nu_; ++i) {
    applied[i] = Inside(i, decision[i]);
    if (filters()) {
      // f' = keep f + (1 - keep) u
      double& filtered = z[first_filtered_ + i];
      applied[i] = filtered = keep * filtered + (1 - keep) * applied[i];
    }
  }
}

void DecisionRule::EndDecision(std::span<const double> decision, std::span<double> z) const {
  if (!options_.observes_previous_action) return;
  for (size_t i = 0; i < nu_; ++i) z[first_previous_ + i] = Inside(i, decision[i]);
}

namespace {

/// One decision after the other, in whatever acts.
class DecisionLoop {
 public:
  DecisionLoop(const EnvironmentSpec& inner, std::shared_ptr<const DecisionRule> rule,
               DecisionPay pay)
      : rule_(std::move(rule)),
        pay_(std::move(pay)),
        spec_(rule_->SpecOf(inner)),
        observed_(inner.observation.size()),
        z_(rule_->added().size()),
        applied_(inner.action.size()),
        before_(spec_.observation.size()),
        after_(before_.size()) {}

  [[nodiscard]] const DecisionRule& rule() const { return *rule_; }
  [[nodiscard]] std::shared_ptr<const DecisionRule> shared_rule() const { return rule_; }
  [[nodiscard]] const DecisionPay& pay() const { return pay_; }
  [[nodiscard]] const EnvironmentSpec& spec() const { return spec_; }
  [[nodiscard]] std::vector<double>& z() { return z_; }
  [[nodiscard]] const std::vector<double>& z() const { return z_; }

  void Reset() {
    rule_->Start(z_);
    fault_.clear();
  }

  void Observe(const Environment& inner, std::span<double> observation) const {
    inner.Observe(observation.first(observed_));
    std::ranges::copy(z_, observation.subspan(observed_).begin());
  }

  /// All control periods of a decision, without what they earn.
  StepStatus Move(Environment& inner, std::span<const double> decision) {
    fault_.clear();
    for (int period = 0; period < rule_->options().repeat; ++period) {
      rule_->BeginPeriod(decision, z_, applied_);
      if (!(inner.Step(applied_) == StepStatus::kOk)) return StepStatus::kDiverged;
    }
    rule_->EndDecision(decision, z_);
    return StepStatus::kOk;
  }

  StepOutcome Step(Environment& inner, std::span<const double> decision) {
    fault_.clear();
    const bool sums = rule_->options().repeat > 1;
    StepOutcome all;
    double sum = 0;
    bool paid = true;
    for (int period = 0; period < rule_->options().repeat; ++period) {
      const bool judges = sums && pay_.reward != nullptr;
      if (judges) Observe(inner, before_);
      rule_->BeginPeriod(decision, z_, applied_);
      StepOutcome outcome = inner.Step(applied_);
      if (outcome.status != StepStatus::kOk) return outcome;
      if (judges) Judge(inner, decision, outcome);
      if (!fault_.empty()) return StepStatus::kDiverged;
      paid = paid && outcome.reward.has_value();
      sum += outcome.reward.value_or(0);
      all = outcome;
      if (outcome.end != StepEnd::kContinues) break;
    }
    rule_->EndDecision(decision, z_);
    if (sums) all.reward = paid ? std::optional(sum) : std::nullopt;
    return all;
  }

  /// "" when it was not here that a number was none.
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  // Of one control period. The decision before is that of the one that is held.
  void Judge(const Environment& inner, std::span<const double> decision, StepOutcome& outcome) {
    Observe(inner, after_);
    rule_->EndDecision(decision, std::span(after_).subspan(observed_));
    const TransitionBatch transition{.rows = 1,
                                     .observation = before_.data(),
                                     .action = decision.data(),
                                     .next_observation = after_.data()};
    double reward = 0;
    uint8_t terminated = 0;
    pay_.reward->Evaluate(transition, &reward, &terminated);
    if (terminated != 0) outcome.end = StepEnd::kTerminated;
    if (pay_.environment_pays) return;
    outcome.reward = reward;
    if (!std::isfinite(reward)) {
      fault_ = "reward " + DescribeNotFinite(*pay_.reward, spec_, transition);
    }
  }

  std::shared_ptr<const DecisionRule> rule_;
  DecisionPay pay_;
  EnvironmentSpec spec_;
  size_t observed_;  // components of what acts
  std::vector<double> z_;
  std::vector<double> applied_;  // [nu]
  std::vector<double> before_;   // [no]
  std::vector<double> after_;    // [no]
  std::string fault_;
};

class DecisionEnvironment final : public Environment {
 public:
  DecisionEnvironment(std::shared_ptr<Environment> inner, std::shared_ptr<const DecisionRule> rule,
                      DecisionPay pay)
      : inner_(std::move(inner)), loop_(inner_->spec(), std::move(rule), std::move(pay)) {}

  [[nodiscard]] const EnvironmentSpec& spec() const override { return loop_.spec(); }
  void Reset(Key key) override {
    inner_->Reset(key);
    loop_.Reset();
  }
  [[nodiscard]] StepOutcome Step(std::span<const double> action) override {
    return loop_.Step(*inner_, action);
  }
  void Observe(std::span<double> observation) const override {
    loop_.Observe(*inner_, observation);
  }
  [[nodiscard]] std::string Divergence() const override {
    return loop_.fault().empty() ? inner_->Divergence() : loop_.fault();
  }

 private:
  std::shared_ptr<Environment> inner_;
  DecisionLoop loop_;
};

/// State = (that of what acts, what is added).
class DecisionSystem final : public System {
 public:
  DecisionSystem(std::unique_ptr<System> inner, std::shared_ptr<const DecisionRule> rule,
                 DecisionPay pay)
      : inner_(std::move(inner)), loop_(inner_->spec(), std::move(rule), std::move(pay)) {
    static_cast<EnvironmentSpec&>(spec_) = loop_.spec();
    spec_.state = inner_->spec().state;
    spec_.state.insert(spec_.state.end(), loop_.rule().added().begin(), loop_.rule().added().end());
    motions_ = loop_.rule().motions();
    const size_t nx = inner_tangents();
    const size_t nz = loop_.z().size();
    const size_t nu = spec_.action.size();
    const size_t entries = nx * (nx + nz + nu);
    workspace_ = {.D = std::vector<double>(entries),
                  .next_D = std::vector<double>(entries),
                  .A = std::vector<double>(nx * nx),
                  .B = std::vector<double>(nx * nu),
                  .state = std::vector<double>(inner_states()),
                  .z = std::vector<double>(nz),
                  .applied = std::vector<double>(nu)};
  }

  [[nodiscard]] const SystemSpec& spec() const override { return spec_; }
  [[nodiscard]] std::unique_ptr<System> Clone() const override {
    auto clone =
        std::make_unique<DecisionSystem>(inner_->Clone(), loop_.shared_rule(), loop_.pay());
    clone->loop_ = loop_;
    return clone;
  }
  void Reset(Key key) override {
    inner_->Reset(key);
    loop_.Reset();
  }
  [[nodiscard]] StepOutcome Step(std::span<const double> action) override {
    return loop_.Step(*inner_, action);
  }
  /// Whole decisions, whatever ends within them.
  void StepRows(const SystemRows& rows) override;
  void Observe(std::span<double> observation) const override {
    loop_.Observe(*inner_, observation);
  }
  [[nodiscard]] std::string Divergence() const override {
    return loop_.fault().empty() ? inner_->Divergence() : loop_.fault();
  }
  void GetState(std::span<double> state) const override {
    inner_->GetState(state.first(inner_states()));
    std::ranges::copy(loop_.z(), state.subspan(inner_states()).begin());
  }
  void SetState(std::span<const double> state) override {
    inner_->SetState(state.first(inner_states()));
    std::ranges::copy(state.subspan(inner_states()), loop_.z().begin());
  }
  [[nodiscard]] int tangent_dim() const override {
    return inner_->tangent_dim() + static_cast<int>(loop_.z().size());
  }
  void Difference(std::span<const double> state, std::span<const double> reference,
                  std::span<double> tangent) const override;
  void Linearize(const SystemDerivatives& derivatives) override;
  void ObservationJacobian(std::span<const double> state, std::span<double> jacobian) override;
  /// States begin with those of what acts.
  [[nodiscard]] std::unique_ptr<Picture> MakePicture() const override {
    return inner_->MakePicture();
  }
  [[nodiscard]] DependentComponents dependent_components() const override {
    return inner_->dependent_components();
  }
  void DependentJacobian(std::span<double> jacobian) const override {
    inner_->DependentJacobian(jacobian);
  }

 private:
  [[nodiscard]] size_t inner_states() const { return inner_->spec().state.size(); }
  [[nodiscard]] size_t inner_tangents() const { return static_cast<size_t>(inner_->tangent_dim()); }
  void AddPeriod(int period, const SystemDerivatives& d);

  /// Of Linearize, which then allocates nothing of its own.
  struct Workspace {
    std::vector<double> D;        // d x / d (x, z, u) at the start of the decision: [nx x columns]
    std::vector<double> next_D;   // [nx x columns]
    std::vector<double> A;        // of a control period: [nx x nx]
    std::vector<double> B;        // [nx x nu]
    std::vector<double> state;    // [states of what acts]
    std::vector<double> z;        // [added]
    std::vector<double> applied;  // [nu]
  };

  std::unique_ptr<System> inner_;
  DecisionLoop loop_;
  SystemSpec spec_;
  std::vector<KnownMotion> motions_;  // of what is added
  Workspace workspace_;
};

void DecisionSystem::StepRows(const SystemRows& rows) {
  const size_t ns = spec_.state.size();
  const size_t no = spec_.observation.size();
  const size_t nu = spec_.action.size();
  const auto is_finite = [](double value) { return std::isfinite(value); };
  for (size_t row = 0; row < static_cast<size_t>(rows.rows); ++row) {
    const std::span<const double> state(rows.state + row * ns, ns);
    const std::span<double> next_state(rows.next_state + row * ns, ns);
    const std::span<double> next_observation(rows.next_observation + row * no, no);
    bool ok = std::ranges::all_of(state, is_finite);
    if (ok) {
      SetState(state);
      ok = loop_.Move(*inner_, {rows.action + row * nu, nu}) == StepStatus::kOk;
    }
    if (ok) {
      GetState(next_state);
      Observe(next_observation);
    } else {
      std::ranges::fill(next_state, std::numeric_limits<double>::quiet_NaN());
      std::ranges::fill(next_observation, std::numeric_limits<double>::quiet_NaN());
    }
  }
}

void DecisionSystem::Difference(std::span<const double> state, std::span<const double> reference,
                                std::span<double> tangent) const {
  const size_t ns = inner_states();
  const size_t nx = inner_tangents();
  inner_->Difference(state.first(ns), reference.first(ns), tangent.first(nx));
  for (size_t i = nx; i < tangent.size(); ++i) {
    tangent[i] = state[ns + i - nx] - reference[ns + i - nx];
  }
}

// D <- A D + B d applied / d (x, z, u), row by row.
void DecisionSystem::AddPeriod(int period, const SystemDerivatives& d) {
  auto& [D, next, A, B, state, z, applied] = workspace_;
  const DecisionRule& rule = loop_.rule();
  const size_t nx = inner_tangents();
  const size_t nu = spec_.action.size();
  const size_t columns = nx + loop_.z().size() + nu;
  std::ranges::fill(next, 0.0);
  for (size_t i = 0; i < nx; ++i) {
    for (size_t k = 0; k < nx; ++k) {
      for (size_t j = 0; j < columns; ++j)
        next[i * columns + j] += A[i * nx + k] * D[k * columns + j];
    }
    for (size_t k = 0; k < nu; ++k) {
      const double keep = rule.filters() ? rule.KeepAfter(period + 1) : 0;
      if (rule.filters()) next[i * columns + nx + rule.filter_place() + k] += B[i * nu + k] * keep;
      next[i * columns + columns - nu + k] +=
          B[i * nu + k] * (1 - keep) * rule.SlopeOf(k, d.action[k]);
    }
  }
  std::swap(D, next);
}

void DecisionSystem::Linearize(const SystemDerivatives& d) {
  const DecisionRule& rule = loop_.rule();
  const size_t nx = inner_tangents();
  const size_t nz = loop_.z().size();
  const size_t nu = spec_.action.size();
  const size_t n = nx + nz;
  const size_t columns = n + nu;
  auto& [D, next_D, A, B, state, z, applied] = workspace_;
  std::ranges::fill(D, 0.0);
  for (size_t i = 0; i < nx; ++i) D[i * columns + i] = 1;
  SetState({d.state, spec_.state.size()});
  std::ranges::copy(loop_.z(), z.begin());
  bool ok = true;
  for (int period = 0; ok && period < rule.options().repeat; ++period) {
    rule.BeginPeriod({d.action, nu}, z, applied);
    inner_->GetState(state);
    inner_->Linearize({state.data(), applied.data(), A.data(), B.data()});
    AddPeriod(period, d);
    inner_->SetState(state);
    ok = inner_->Step(applied) == StepStatus::kOk;
  }
  if (!ok) std::ranges::fill(D, std::numeric_limits<double>::quiet_NaN());
  std::fill_n(d.A, n * n, 0.0);
  std::fill_n(d.B, n * nu, 0.0);
  for (size_t i = 0; i < nx; ++i) {
    std::copy_n(&D[i * columns], n, d.A + i * n);
    std::copy_n(&D[i * columns + n], nu, d.B + i * nu);
  }
  for (size_t i = 0; i < nz; ++i) {
    d.A[(nx + i) * n + nx + i] = motions_[i].keep;
    if (motions_[i].action < 0) continue;
    const auto k = static_cast<size_t>(motions_[i].action);
    d.B[(nx + i) * nu + k] = motions_[i].gain * rule.SlopeOf(k, d.action[k]);
  }
}

void DecisionSystem::ObservationJacobian(std::span<const double> state,
                                         std::span<double> jacobian) {
  const size_t nx = inner_tangents();
  const size_t nz = loop_.z().size();
  const size_t observed = spec_.observation.size() - nz;
  std::vector<double> of_inner(observed * nx);
  inner_->ObservationJacobian(state.first(inner_states()), of_inner);
  std::ranges::fill(jacobian, 0.0);
  for (size_t i = 0; i < observed; ++i) {
    std::copy_n(&of_inner[i * nx], nx, &jacobian[i * (nx + nz)]);
  }
  for (size_t i = 0; i < nz; ++i) jacobian[(observed + i) * (nx + nz) + nx + i] = 1;
}

}  // namespace

std::unique_ptr<Environment> WithDecisions(std::shared_ptr<Environment> inner,
                                           std::shared_ptr<const DecisionRule> rule,
                                           DecisionPay pay) {
  return std::make_unique<DecisionEnvironment>(std::move(inner), std::move(rule), std::move(pay));
}

std::unique_ptr<System> WithDecisions(std::unique_ptr<System> inner,
                                      std::shared_ptr<const DecisionRule> rule, DecisionPay pay) {
  return std::make_unique<DecisionSystem>(std::move(inner), std::move(rule), std::move(pay));
}

}  // namespace foreplan

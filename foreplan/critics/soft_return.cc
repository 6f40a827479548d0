#include "foreplan/critics/soft_return.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/size.h"
#include "foreplan/critics/imagined_model.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kModelNoise, kPolicyNoise, kMembers, kTargets };

SoftReturnOptions Checked(const SoftReturnOptions& options) {
  for (const auto& [name, value, least] :
       {std::tuple{"horizon", options.horizon, 0}, std::tuple{"rows", options.rows, 1},
        std::tuple{"particles", options.particles, 1}}) {
    if (value >= least) continue;
    throw InputError(
        fmt::format("soft return: {}: found {}, expected at least {}", name, value, least));
  }
  SoftReturnOptions checked = options;
  checked.particles = std::min(options.particles, options.rows);
  return checked;
}

}  // namespace

// Rows of one time lie together, at rows x time.
struct SoftReturn::Group {
  Group(const SquashedGaussianPolicy& actor, const CriticEnsemble& critic_ensemble, int index,
        int begin, int count, int horizon)
      : particle(index),
        first(begin),
        rows(count),
        policy(actor.mlp(), actor.kernel(), rows, horizon + 1, MlpTape::Keep::kAllGradients),
        critic(critic_ensemble.mlp(), critic_ensemble.kernel(), rows, 1,
               MlpTape::Keep::kInputGradients),
        output(Size(horizon + 1)),
        x(Size(horizon + 1, rows, actor.mlp().inputs())),
        d_x(Size(rows, actor.mlp().inputs())),
        d_output(Size(rows, actor.mlp().outputs())),
        critic_x(Size(rows, critic_ensemble.inputs())),
        d_critic_x(critic_x.size()),
        d_q(Size(rows)),
        observation(Size(horizon + 1, rows, actor.observation_dim())),
        action(Size(horizon + 1, rows, actor.action_dim())),
        deviation(action.size()),
        noise(action.size()),
        task_action(action.size()),
        log_density(Size(horizon + 1, rows)),
        reward(Size(horizon, rows)),
        weight(Size(horizon + 1, rows)),
        least(Size(rows)),
        value(Size(rows)),
        model_noise(Size(rows, actor.observation_dim())),
        terminated(Size(rows)),
        state_of(Size(rows)),
        by_transition(Size(rows, 2 * actor.observation_dim() + actor.action_dim())),
        by_next(Size(rows, actor.observation_dim())),
        by_observation(by_next.size()),
        by_policy(by_next.size()),
        nothing(by_next.size()),
        by_action(Size(rows, actor.action_dim())),
        by_input(Size(actor.mlp().inputs())) {}

  enum class RowState : uint8_t { kGoesOn, kEnded, kInvalid };

  int particle, first, rows;
  std::unique_ptr<RolloutTape> model;       // null: none yet
  MlpTape policy, critic;                   // critics take turns
  std::vector<const float*> output;         // of the policy's network: [horizon + 1]
  std::vector<float> x;                     // of the policy: [(horizon + 1) x rows x inputs]
  std::vector<float> d_x;                   // [rows x inputs]
  std::vector<float> d_output;              // [rows x 2 nu]
  std::vector<float> critic_x, d_critic_x;  // [rows x critic inputs]
  std::vector<float> d_q;                   // [rows]
  std::vector<double> observation;          // [(horizon + 1) x rows x no]
  std::vector<double> action;               // in half ranges: [(horizon + 1) x rows x nu]
  std::vector<double> deviation, noise;     // of its normal: the same
  std::vector<double> task_action;          // the same
  std::vector<double> log_density;          // [(horizon + 1) x rows]
  std::vector<double> reward;               // [horizon x rows]
  std::vector<double> weight;               // gamma^t m_t: [(horizon + 1) x rows]
  std::vector<float> least;                 // of the target networks that are asked: [rows]
  std::vector<double> value;                // mean of the critics at the horizon: [rows]
  std::vector<double> model_noise;          // [rows x no]
  std::vector<uint8_t> terminated;          // [rows]
  std::vector<RowState> state_of;           // [rows]
  std::vector<double> by_transition;        // through the reward alone: [rows x nz]
  std::vector<double> by_next;              // lambda_{t+1}: [rows x no]
  std::vector<double> by_observation;       // lambda_t: [rows x no]
  std::vector<double> by_policy;            // P_t: [rows x no]
  std::vector<double> nothing;              // 0: [rows x no]
  std::vector<double> by_action;            // [rows x nu]
  std::vector<double> by_input;             // [inputs]
};

SoftReturn::SoftReturn(const SquashedGaussianPolicy& policy, const CriticEnsemble& critics,
                       const SoftReturnOptions& options, std::shared_ptr<Executor> executor)
    : policy_(policy),
      critics_(critics),
      options_(Checked(options)),
      executor_(std::move(executor)),
      first_inputs_(Size(options_.rows, critics.inputs())),
      soft_rewards_(Size(options_.horizon, options_.rows)) {
  constexpr auto kKeep = MlpTape::Keep::kAllGradients;
  CheckMemory("imagined rollouts",
              MlpTape::Bytes(policy_.mlp(), options_.rows, options_.horizon + 1, kKeep));
  for (int particle = 0; particle < options_.particles; ++particle) {
    const int first = particle * options_.rows / options_.particles;
    const int end = (particle + 1) * options_.rows / options_.particles;
    groups_.push_back(
        std::make_unique<Group>(policy_, critics_, particle, first, end - first, options_.horizon));
  }
}

SoftReturn::~SoftReturn() = default;

void SoftReturn::set_model(const ModelVersion& version, ObservationRange range) {
  const std::shared_ptr<const Reward> reward = version.reward ? version.reward : reward_;
  CheckImagines("soft return", policy_, version.dynamics.get(), reward.get());
  reward_ = reward;
  range_ = std::move(range);
  if (version.dynamics == dynamics_) return;
  dynamics_ = version.dynamics;
  if (options_.horizon == 0) return;
  for (const auto& group : groups_) {
    group->model = dynamics_->MakeTape(group->rows, options_.horizon);
  }
}

void SoftReturn::Roll(std::span<const double> starts, Key key) {
  const int no = policy_.observation_dim();
  Random random(key.Fold(kTargets));
  asked_[0] = static_cast<int>(random.Below(static_cast<uint64_t>(critics_.critics())));
  asked_[1] = asked_[0];
  if (critics_.critics() > 1) {
    const auto step = 1 + random.Below(static_cast<uint64_t>(critics_.critics() - 1));
    asked_[1] = (asked_[0] + static_cast<int>(step)) % critics_.critics();
  }
  executor_->ParallelFor(options_.particles, [&](int particle, int /*worker*/) {
    Group& group = *groups_[Size(particle)];
    std::copy_n(starts.data() + Size(group.first, no), Size(group.rows, no),
                group.observation.begin());
    std::ranges::fill(group.state_of, Group::RowState::kGoesOn);
    std::fill_n(group.weight.begin(), group.rows, 1.0);
    policy_.encoder().Encode(group.rows, group.observation.data(), group.x.data());
    for (int t = 0; t < options_.horizon; ++t) {
      Act(t, key, group);
      Step(t, key, group);
      Account(t, group);
    }
    Act(options_.horizon, key, group);
    FillCriticInputs(0, group, first_inputs_.data() + Size(group.first, critics_.inputs()));
    FillCriticInputs(options_.horizon, group, group.critic_x.data());
  });
}

void SoftReturn::Act(int time, Key key, Group& group) const {
  const int nu = policy_.action_dim();
  const float* output =
      group.policy.Forward(policy_.parameters(), time, group.rows,
                           &group.x[Size(time, group.rows, policy_.mlp().inputs())]);
  group.output[Size(time)] = output;
  const size_t first = Size(time, group.rows, nu);
  Random(key.Fold(kPolicyNoise).Fold(Size(group.particle)).Fold(Size(time)))
      .FillNormal(std::span(group.noise).subspan(first, Size(group.rows, nu)));
  for (int row = 0; row < group.rows; ++row) {
    const size_t at = first + Size(row, nu);
    group.log_density[Size(time, group.rows) + Size(row)] = SquashedGaussian::Draw(
        nu, output + Size(row, 2 * nu), &group.noise[at], &group.action[at], &group.deviation[at]);
    policy_.ToTask(&group.action[at], &group.task_action[at]);
  }
}

void SoftReturn::Step(int time, Key key, Group& group) const {
  const int no = policy_.observation_dim();
  const int nu = policy_.action_dim();
  if (dynamics_->is_stochastic()) {
    Random(key.Fold(kModelNoise).Fold(Size(group.particle)).Fold(Size(time)))
        .FillNormal(group.model_noise);
  }
  const double* observation = &group.observation[Size(time, group.rows, no)];
  double* next = &group.observation[Size(time + 1, group.rows, no)];
  group.model->Step({.rows = group.rows,
                     .state = observation,
                     .action = &group.task_action[Size(time, group.rows, nu)],
                     .next_state = next,
                     .particle = group.particle,
                     .particles = options_.particles,
                     .time = time,
                     .key = key.Fold(kMembers),
                     .noise = dynamics_->is_stochastic() ? group.model_noise.data() : nullptr});
  reward_->Evaluate({.rows = group.rows,
                     .observation = observation,
                     .action = &group.task_action[Size(time, group.rows, nu)],
                     .next_observation = next},
                    &group.reward[Size(time, group.rows)], group.terminated.data());
}

// A row that has ended stays where it ended, which networks can digest, and earns nothing more; one
// that came to no numbers, to some that they cannot, or beyond the range stays where it was and has
// never earned anything.
void SoftReturn::Account(int time, Group& group) const {
  using RowState = Group::RowState;
  const int no = policy_.observation_dim();
  const int inputs = policy_.mlp().inputs();
  const double next_weight = std::pow(options_.discount, time + 1);
  double* next = &group.observation[Size(time + 1, group.rows, no)];
  float* x = &group.x[Size(time + 1, group.rows, inputs)];
  policy_.encoder().Encode(group.rows, next, x);
  for (int row = 0; row < group.rows; ++row, next += no, x += inputs) {
    RowState& state = group.state_of[Size(row)];
    const auto at = [&](int t) { return Size(t, group.rows) + Size(row); };
    if (state == RowState::kGoesOn) {
      if (!IsOfUse({next, Size(no)}, x, group.reward[at(time)], policy_.encoder(), range_)) {
        state = RowState::kInvalid;
        for (int t = 0; t <= time; ++t) group.weight[at(t)] = 0;
      }
    }
    if (state != RowState::kGoesOn) {
      std::copy_n(next - Size(group.rows, no), no, next);
      std::copy_n(x - Size(group.rows, inputs), inputs, x);
    } else if (group.terminated[Size(row)] != 0) {
      state = RowState::kEnded;
    }
    group.weight[at(time + 1)] = state == RowState::kGoesOn ? next_weight : 0.0;
  }
}

void SoftReturn::FillCriticInputs(int time, Group& group, float* inputs) const {
  const int nu = policy_.action_dim();
  const int features = critics_.observation_inputs();
  const auto x = std::span(group.x).subspan(Size(time, group.rows, features));
  const auto action = std::span(group.action).subspan(Size(time, group.rows, nu));
  for (int row = 0; row < group.rows; ++row) {
    FillCriticInput(x.subspan(Size(row, features), Size(features)),
                    action.subspan(Size(row, nu), Size(nu)), inputs + Size(row, critics_.inputs()));
  }
}

void SoftReturn::AskTargets(Group& group) const {
  const float* output = group.critic.Forward(critics_.target_parameters(asked_[0]), 0, group.rows,
                                             group.critic_x.data());
  std::copy_n(output, group.rows, group.least.begin());
  if (asked_[1] == asked_[0]) return;
  output = group.critic.Forward(critics_.target_parameters(asked_[1]), 0, group.rows,
                                group.critic_x.data());
  for (int row = 0; row < group.rows; ++row) {
    group.least[Size(row)] = std::min(group.least[Size(row)], output[row]);
  }
}

double SoftReturn::first_log_density(int row) const {
  const auto after =
      std::ranges::upper_bound(groups_, row, {}, [](const auto& g) { return g->first; });
  const Group& group = **std::prev(after);
  return group.log_density[Size(row - group.first)];
}

std::span<double> SoftReturn::SoftRewards(double temperature) {
  size_t count = 0;
  for (const auto& group : groups_) {
    for (size_t at = 0; at < Size(options_.horizon, group->rows); ++at) {
      if (group->weight[at] == 0) continue;
      soft_rewards_[count++] = group->reward[at] - temperature * group->log_density[at];
    }
  }
  return std::span(soft_rewards_).first(count);
}

bool SoftReturn::SomeEnded() const {
  return std::ranges::any_of(groups_, [](const auto& group) {
    return std::ranges::count(group->state_of, Group::RowState::kEnded) > 0;
  });
}

void SoftReturn::Targets(double temperature, std::span<double> y) {
  executor_->ParallelFor(options_.particles, [&](int particle, int /*worker*/) {
    Group& group = *groups_[Size(particle)];
    AskTargets(group);
    for (int row = 0; row < group.rows; ++row) {
      y[Size(group.first + row)] = Target(temperature, group, row);
    }
  });
}

double SoftReturn::Target(double temperature, const Group& group, int row) const {
  if (group.state_of[Size(row)] == Group::RowState::kInvalid) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto at = [&](int t) { return Size(t, group.rows) + Size(row); };
  double sum = 0;
  for (int t = 0; t < options_.horizon; ++t) {
    if (group.weight[at(t)] == 0) break;
    // Q is what follows the first action: its own entropy is no part of it.
    const double entropy = t == 0 ? 0.0 : temperature * group.log_density[at(t)];
    sum += group.weight[at(t)] * (group.reward[at(t)] - entropy);
  }
  const size_t last = at(options_.horizon);
  if (group.weight[last] == 0) return sum;
  const ValueBounds& bounds = critics_.bounds();
  const double q = bounds.Clamp(bounds.Value(group.least[Size(row)]));
  return sum + group.weight[last] * (q - temperature * group.log_density[last]);
}

void SoftReturn::GoBack(double temperature, const PartOf& part) {
  executor_->ParallelFor(options_.particles, [&](int particle, int /*worker*/) {
    Group& group = *groups_[Size(particle)];
    PullBackCritics(group);
    PullBackPolicy(options_.horizon, temperature, group);
    for (int t = options_.horizon - 1; t >= 0; --t) {
      std::swap(group.by_next, group.by_observation);
      PullBackStep(t, group);
      PullBackPolicy(t, temperature, group);
    }
    group.policy.ParameterGradient(options_.horizon + 1, part(particle));
  });
}

// Into by_action, of half ranges, and by_observation: w_H dQ/da and w_H dQ/do.
void SoftReturn::PullBackCritics(Group& group) const {
  const int nu = policy_.action_dim();
  const int count = critics_.critics();
  const int features = critics_.observation_inputs();
  const double* weight = &group.weight[Size(options_.horizon, group.rows)];
  std::ranges::fill(group.value, 0.0);
  std::ranges::fill(group.by_action, 0.0);
  std::ranges::fill(group.d_x, 0.0F);
  for (int row = 0; row < group.rows; ++row) {
    group.d_q[Size(row)] = static_cast<float>(weight[row] * critics_.bounds().half_range() / count);
  }
  for (int k = 0; k < count; ++k) {
    const float* output =
        group.critic.Forward(critics_.parameters(k), 0, group.rows, group.critic_x.data());
    group.critic.PullBack(critics_.parameters(k), 0, group.d_q.data(), group.d_critic_x.data());
    for (int row = 0; row < group.rows; ++row) {
      const double q = critics_.bounds().Value(output[row]);
      group.value[Size(row)] += q / count;
      const float* d_row = &group.d_critic_x[Size(row, critics_.inputs())];
      for (int i = 0; i < features; ++i) group.d_x[Size(row, features) + Size(i)] += d_row[i];
      for (int i = 0; i < nu; ++i) group.by_action[Size(row, nu) + Size(i)] += d_row[features + i];
    }
  }
  policy_.encoder().PullBack(
      group.rows, &group.observation[Size(options_.horizon, group.rows, policy_.observation_dim())],
      group.d_x.data(), features, group.by_input, group.by_observation.data());
}

// lambda_{t+1} in by_next becomes what is known of lambda_t without the policy, in by_observation,
// and the gradient by the action, of half ranges, in by_action.
void SoftReturn::PullBackStep(int time, Group& group) const {
  const int no = policy_.observation_dim();
  const int nu = policy_.action_dim();
  const int nz = 2 * no + nu;
  const double* observation = &group.observation[Size(time, group.rows, no)];
  const double* weight = &group.weight[Size(time, group.rows)];
  reward_->Gradient({.rows = group.rows,
                     .observation = observation,
                     .action = &group.task_action[Size(time, group.rows, nu)],
                     .next_observation = observation + Size(group.rows, no)},
                    group.by_transition.data());
  for (int row = 0; row < group.rows; ++row) {
    double* by_transition = &group.by_transition[Size(row, nz)];
    for (int i = 0; i < nz; ++i) {
      by_transition[i] = weight[row] == 0 ? 0.0 : weight[row] * by_transition[i];
    }
    for (int i = 0; i < no; ++i) {
      group.by_next[Size(row, no) + Size(i)] += by_transition[no + nu + i];
    }
  }
  group.model->PullBack(time, group.by_next.data(), group.nothing.data(),
                        group.by_observation.data(), group.by_action.data());
  for (int row = 0; row < group.rows; ++row) {
    const double* by_transition = &group.by_transition[Size(row, nz)];
    const bool counts = weight[row] != 0;  // else the step has no derivatives either
    for (int i = 0; i < no; ++i) {
      double& entry = group.by_observation[Size(row, no) + Size(i)];
      entry = counts ? entry + by_transition[i] : 0.0;
    }
    for (int i = 0; i < nu; ++i) {
      double& entry = group.by_action[Size(row, nu) + Size(i)];
      entry = counts ? policy_.half_range(i) * (entry + by_transition[no + i]) : 0.0;
    }
  }
}

// Adds P_t to by_observation.
void SoftReturn::PullBackPolicy(int time, double temperature, Group& group) const {
  const int no = policy_.observation_dim();
  const int nu = policy_.action_dim();
  const size_t first = Size(time, group.rows, nu);
  for (int row = 0; row < group.rows; ++row) {
    const size_t at = first + Size(row, nu);
    const double weight = group.weight[Size(time, group.rows) + Size(row)];
    SquashedGaussian::PullBack(nu, group.output[Size(time)] + Size(row, 2 * nu), &group.noise[at],
                               &group.action[at], &group.deviation[at],
                               &group.by_action[Size(row, nu)], temperature * weight,
                               &group.d_output[Size(row, 2 * nu)]);
  }
  group.policy.PullBack(policy_.parameters(), time, group.d_output.data(), group.d_x.data());
  policy_.encoder().PullBack(group.rows, &group.observation[Size(time, group.rows, no)],
                             group.d_x.data(), policy_.mlp().inputs(), group.by_input,
                             group.by_policy.data());
  for (size_t i = 0; i < group.by_observation.size(); ++i) {
    group.by_observation[i] += group.by_policy[i];
  }
}

SoftReturnReport SoftReturn::Report(double temperature) const {
  SoftReturnReport report;
  for (const auto& group : groups_) {
    for (int row = 0; row < group->rows; ++row) {
      for (int t = 0; t < options_.horizon; ++t) {
        const size_t at = Size(t, group->rows) + Size(row);
        if (group->weight[at] == 0) continue;
        report.value +=
            group->weight[at] * (group->reward[at] - temperature * group->log_density[at]);
      }
      const size_t last = Size(options_.horizon, group->rows) + Size(row);
      if (group->weight[last] != 0) {
        report.value += group->weight[last] *
                        (group->value[Size(row)] - temperature * group->log_density[last]);
      }
      report.entropy -= group->log_density[Size(row)];
      report.ended += group->state_of[Size(row)] == Group::RowState::kEnded ? 1 : 0;
      report.invalid += group->state_of[Size(row)] == Group::RowState::kInvalid ? 1 : 0;
    }
  }
  report.value /= options_.rows;
  report.entropy /= options_.rows;
  return report;
}

}  // namespace foreplan

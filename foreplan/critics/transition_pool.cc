#include "foreplan/critics/transition_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/size.h"
#include "foreplan/critics/imagined_model.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kModelNoise, kPolicyNoise, kMembers };

}  // namespace

TransitionPool::TransitionPool(int observation_dim, int action_dim, int64_t capacity)
    : no_(observation_dim), nu_(action_dim), capacity_(capacity) {
  if (no_ < 1 || nu_ < 1 || capacity < 1) {
    throw InputError(fmt::format(
        "pool: found {} observed numbers, {} actions and room for {}, expected at least 1 each",
        no_, nu_, capacity));
  }
  const size_t numbers = static_cast<size_t>(capacity) * Size(2 * no_ + nu_);
  CheckMemory("the pool of imagined transitions", sizeof(double) * static_cast<double>(numbers));
  rows_.resize(numbers);
}

void TransitionPool::Clear() { size_ = next_ = 0; }

void TransitionPool::Add(const double* observation, const double* action,
                         const double* next_observation) {
  double* to = rows_.data() + static_cast<size_t>(next_) * Size(2 * no_ + nu_);
  to = std::copy_n(observation, no_, to);
  to = std::copy_n(action, nu_, to);
  std::copy_n(next_observation, no_, to);
  next_ = (next_ + 1) % capacity_;
  size_ = std::min(size_ + 1, capacity_);
}

const double* TransitionPool::observation(int64_t row) const {
  return rows_.data() + static_cast<size_t>(row) * Size(2 * no_ + nu_);
}

const double* TransitionPool::action(int64_t row) const { return observation(row) + no_; }

const double* TransitionPool::next_observation(int64_t row) const { return action(row) + nu_; }

// Rows of one time lie together, at rows x time.
struct DistributionRollouts::Group {
  Group(const SquashedGaussianPolicy& actor, int index, int begin, int count, int steps)
      : particle(index),
        first(begin),
        rows(count),
        policy(actor.mlp(), actor.kernel(), rows),
        x(Size(rows, actor.mlp().inputs())),
        next_x(x.size()),
        observation(Size(steps + 1, rows, actor.observation_dim())),
        action(Size(steps, rows, actor.action_dim())),
        half_action(Size(actor.action_dim())),
        deviation(Size(actor.action_dim())),
        noise(Size(rows, actor.action_dim())),
        model_noise(Size(rows, actor.observation_dim())),
        reward(Size(rows)),
        terminated(Size(rows)),
        steps_of(Size(rows)) {}

  int particle, first, rows;
  MlpGradient policy;
  std::unique_ptr<Dynamics::Workspace> workspace;  // null: no model yet
  std::vector<float> x, next_x;                    // [rows x inputs]
  std::vector<double> observation;                 // [(steps + 1) x rows x no]
  std::vector<double> action;                      // [steps x rows x nu]
  std::vector<double> half_action, deviation;      // [nu]
  std::vector<double> noise;                       // [rows x nu]
  std::vector<double> model_noise;                 // [rows x no]
  std::vector<double> reward;                      // [rows]
  std::vector<uint8_t> terminated;                 // [rows]
  std::vector<int> steps_of;                       // how many steps of a row count: [rows]
};

DistributionRollouts::DistributionRollouts(const SquashedGaussianPolicy& policy, int rows,
                                           int steps, int particles,
                                           std::shared_ptr<Executor> executor)
    : policy_(policy), rows_(rows), steps_(steps), executor_(std::move(executor)) {
  if (rows < 1 || steps < 1 || particles < 1) {
    throw InputError(
        fmt::format("imagined rollouts: found {} rows, {} steps and {} particles, expected at "
                    "least 1 each",
                    rows, steps, particles));
  }
  const int groups = std::min(particles, rows);
  for (int particle = 0; particle < groups; ++particle) {
    const int first = particle * rows / groups;
    const int end = (particle + 1) * rows / groups;
    groups_.push_back(std::make_unique<Group>(policy, particle, first, end - first, steps));
  }
}

DistributionRollouts::~DistributionRollouts() = default;

void DistributionRollouts::set_model(const ModelVersion& version, ObservationRange range) {
  const std::shared_ptr<const Reward> reward = version.reward ? version.reward : reward_;
  CheckImagines("imagined rollouts", policy_, version.dynamics.get(), reward.get());
  reward_ = reward;
  range_ = std::move(range);
  if (version.dynamics == dynamics_) return;
  dynamics_ = version.dynamics;
  for (const auto& group : groups_) group->workspace = dynamics_->MakeWorkspace(group->rows);
}

int64_t DistributionRollouts::Fill(std::span<const double> starts, Key key, TransitionPool& pool) {
  const int no = policy_.observation_dim();
  const int nu = policy_.action_dim();
  executor_->ParallelFor(static_cast<int>(groups_.size()), [&](int index, int /*worker*/) {
    Roll(starts, key, *groups_[Size(index)]);
  });
  int64_t joined = 0;
  for (const auto& group : groups_) {
    for (int t = 0; t < steps_; ++t) {
      for (int row = 0; row < group->rows; ++row) {
        if (t >= group->steps_of[Size(row)]) continue;
        pool.Add(&group->observation[Size(t, group->rows, no) + Size(row, no)],
                 &group->action[Size(t, group->rows, nu) + Size(row, nu)],
                 &group->observation[Size(t + 1, group->rows, no) + Size(row, no)]);
        ++joined;
      }
    }
  }
  return joined;
}

void DistributionRollouts::Roll(std::span<const double> starts, Key key, Group& group) const {
  const int no = policy_.observation_dim();
  const int nu = policy_.action_dim();
  std::copy_n(starts.data() + Size(group.first, no), Size(group.rows, no),
              group.observation.begin());
  std::ranges::fill(group.steps_of, steps_);
  policy_.encoder().Encode(group.rows, group.observation.data(), group.x.data());
  for (int t = 0; t < steps_; ++t) {
    const double* observation = &group.observation[Size(t, group.rows, no)];
    double* action = &group.action[Size(t, group.rows, nu)];
    double* next = &group.observation[Size(t + 1, group.rows, no)];
    const float* output = group.policy.Forward(policy_.parameters(), group.rows, group.x.data());
    Random(key.Fold(kPolicyNoise).Fold(Size(group.particle)).Fold(Size(t))).FillNormal(group.noise);
    for (int row = 0; row < group.rows; ++row) {
      SquashedGaussian::Draw(nu, output + Size(row, 2 * nu), &group.noise[Size(row, nu)],
                             group.half_action.data(), group.deviation.data());
      policy_.ToTask(group.half_action.data(), action + Size(row, nu));
    }
    if (dynamics_->is_stochastic()) {
      Random(key.Fold(kModelNoise).Fold(Size(group.particle)).Fold(Size(t)))
          .FillNormal(group.model_noise);
    }
    dynamics_->Step({.rows = group.rows,
                     .state = observation,
                     .action = action,
                     .next_state = next,
                     .particle = group.particle,
                     .particles = static_cast<int>(groups_.size()),
                     .time = t,
                     .key = key.Fold(kMembers),
                     .noise = dynamics_->is_stochastic() ? group.model_noise.data() : nullptr},
                    *group.workspace);
    reward_->Evaluate({.rows = group.rows,
                       .observation = observation,
                       .action = action,
                       .next_observation = next},
                      group.reward.data(), group.terminated.data());
    Account(t, group);
  }
}

// A row that is over stays where it is, which networks can digest.
void DistributionRollouts::Account(int time, Group& group) const {
  const int no = policy_.observation_dim();
  const int inputs = policy_.mlp().inputs();
  double* next = &group.observation[Size(time + 1, group.rows, no)];
  policy_.encoder().Encode(group.rows, next, group.next_x.data());
  for (int row = 0; row < group.rows; ++row, next += no) {
    int& steps = group.steps_of[Size(row)];
    float* x = &group.next_x[Size(row, inputs)];
    if (time >= steps ||
        !IsOfUse({next, Size(no)}, x, group.reward[Size(row)], policy_.encoder(), range_)) {
      steps = std::min(steps, time);
      std::copy_n(next - Size(group.rows, no), no, next);
      std::copy_n(&group.x[Size(row, inputs)], inputs, x);
    } else if (group.terminated[Size(row)] != 0) {
      steps = time + 1;
    }
  }
  std::swap(group.x, group.next_x);
}

}  // namespace foreplan

#include "foreplan/critics/actor_critic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/tensor_checks.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kRollouts, kNext };

}  // namespace

void ActorCriticOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("batch", batch, {1, 65536}, "rows of an update");
  visitor.Field("horizon", horizon, {0, 1000},
                "TR, differentiable model steps before the critics judge; 0: no model");
  visitor.Field("particles", particles, {1, 4096},
                "groups of rows, each of which one member predicts at a time");
  visitor.Field("discount", discount, {0, 0.99999}, "of rewards, per step");
  visitor.Field("learning_rate", learning_rate, {1e-8, 1}, "Adam's, of the actor");
  visitor.Field("temperature", temperature, {1e-8, 1e6}, "weight of the entropy at first");
  visitor.Field("temperature_rate", temperature_rate, {0, 1},
                "learning rate of the temperature's logarithm; 0: it stays");
  visitor.Field("target_entropy", target_entropy, {-100, 100},
                "entropy that the temperature aims at, per component of the action in half ranges");
}

void ActorCriticReport::Add(const SoftReturnReport& actor, double gradient_norm, int rows) {
  ++actor_updates;
  rollouts += rows;
  ended_rollouts += actor.ended;
  invalid_rollouts += actor.invalid;
  imagined_value += actor.value;
  entropy += actor.entropy;
  actor_gradient_norm += gradient_norm;
  largest_actor_gradient_norm = std::max(largest_actor_gradient_norm, gradient_norm);
}

ActorCritic::ActorCritic(SquashedGaussianPolicy& policy, CriticEnsemble& critics,
                         const ActorCriticOptions& options, std::shared_ptr<Executor> executor)
    : policy_(policy),
      critics_(critics),
      options_(Validated("actor_critic.training", options)),
      imagined_(policy, critics,
                {.horizon = options.horizon,
                 .rows = options.batch,
                 .particles = options.particles,
                 .discount = options.discount},
                executor),
      next_(policy, critics,
            {.horizon = 0,
             .rows = options.batch,
             .particles = options.particles,
             .discount = options.discount},
            executor),
      actor_adam_(std::ssize(policy.parameters()), imagined_.options().particles,
                  {.learning_rate = options.learning_rate}, executor),
      temperature_adam_(1, 1, {.learning_rate = options.temperature_rate}, std::move(executor)),
      log_temperature_(static_cast<float>(std::log(options.temperature))),
      inputs_(Size(options.batch, critics.inputs())),
      x_(Size(options.batch, critics.observation_inputs())),
      half_action_(Size(policy.action_dim())),
      y_(Size(options.batch)),
      soft_rewards_(y_.size()) {}

double ActorCritic::temperature() const { return std::exp(static_cast<double>(log_temperature_)); }

void ActorCritic::Update(std::span<const double> starts, const OneStepRows* one_step, Key key,
                         bool trains_actor, ActorCriticReport& report) {
  if (trains_actor || one_step == nullptr) imagined_.Roll(starts, key.Fold(kRollouts));
  TrainCritics(one_step, key, report);
  if (trains_actor) TrainActor(report);
}

void ActorCritic::TrainCritics(const OneStepRows* one_step, Key key, ActorCriticReport& report) {
  const float* inputs = nullptr;
  if (one_step == nullptr) {
    critics_.Observe(imagined_.SoftRewards(temperature()), options_.discount,
                     imagined_.SomeEnded());
    imagined_.Targets(temperature(), y_);
    inputs = imagined_.first_inputs().data();
  } else {
    FillOneStep(*one_step, key);
    inputs = inputs_.data();
  }
  const CriticReport step = critics_.TakeStep(options_.batch, inputs, y_.data());
  ++report.updates;
  CountInvalid("the critics", step.valid, invalid_critics_, report);
  if (!step.valid) return;
  report.critic_loss += step.loss;
  report.critic_value += step.value;
  report.critic_gradient_norm += step.gradient_norm;
}

// y = r + gamma (1 - terminated) (Q(o', a') - alpha l'), a' ~ pi(o').
void ActorCritic::FillOneStep(const OneStepRows& rows, Key key) {
  next_.Roll(rows.next_observation, key.Fold(kNext));
  // The entropy of the actor's own actions stands for that of the rows', which it may not have
  // chosen.
  size_t count = 0;
  for (int row = 0; row < options_.batch; ++row) {
    const double soft = rows.reward[Size(row)] - temperature() * next_.first_log_density(row);
    if (std::isfinite(soft)) soft_rewards_[count++] = soft;
  }
  critics_.Observe(std::span(soft_rewards_).first(count), options_.discount,
                   std::ranges::count(rows.terminated, 0) < std::ssize(rows.terminated));
  next_.Targets(temperature(), y_);
  for (int row = 0; row < options_.batch; ++row) {
    const double value = rows.terminated[Size(row)] != 0 ? 0.0 : options_.discount * y_[Size(row)];
    y_[Size(row)] = rows.reward[Size(row)] + value;
  }
  const int nu = policy_.action_dim();
  const int features = critics_.observation_inputs();
  policy_.encoder().Encode(options_.batch, rows.observation.data(), x_.data());
  for (int row = 0; row < options_.batch; ++row) {
    policy_.FromTask(&rows.action[Size(row, nu)], half_action_.data());
    FillCriticInput(std::span(x_).subspan(Size(row, features), Size(features)), half_action_,
                    &inputs_[Size(row, critics_.inputs())]);
  }
}

void ActorCritic::TrainActor(ActorCriticReport& report) {
  const SoftReturnReport actor =
      imagined_.Gradient(temperature(), [&](int particle) { return actor_adam_.part(particle); });
  const double norm = actor_adam_.Sum(-1.0F / static_cast<float>(options_.batch));
  const bool valid = std::isfinite(norm);
  CountInvalid("the actor", valid, invalid_actors_, report);
  if (!valid) return;
  actor_adam_.Descend(policy_.parameters());
  report.Add(actor, norm, options_.batch);
  if (options_.temperature_rate == 0) return;
  // d/d(ln alpha) of alpha (entropy - target).
  const double target = options_.target_entropy * policy_.action_dim();
  temperature_adam_.part(0)[0] = static_cast<float>(temperature() * (actor.entropy - target));
  temperature_adam_.Descend(std::span(&log_temperature_, 1));
}

void ActorCritic::CountInvalid(const char* whose, bool valid, int& in_a_row,
                               ActorCriticReport& report) {
  if (valid) {
    in_a_row = 0;
    return;
  }
  ++report.invalid_updates;
  if (++in_a_row < kMostInvalid) return;
  throw RunError(
      fmt::format("actor critic: {} gradients of {} in a row were not finite; a smaller "
                  "learning_rate or a shorter horizon may help",
                  in_a_row, whose));
}

void ActorCritic::ForgetMoments() {
  critics_.ForgetMoments();
  actor_adam_.Forget();
  temperature_adam_.Forget();
}

void ActorCritic::Rescale(const Normaliser& normaliser) {
  critics_.Rescale(policy_.encoder().normaliser(), normaliser);
  policy_.Rescale(normaliser);
}

void ActorCritic::Save(TensorFile& file) const {
  actor_adam_.Save("actor_critic.actor_", file);
  temperature_adam_.Save("actor_critic.temperature_", file);
  file.tensors["actor_critic.log_temperature"] = {{1}, std::vector<float>{log_temperature_}};
  file.tensors["actor_critic.counters"] = {{2},
                                           std::vector<int32_t>{invalid_critics_, invalid_actors_}};
}

void ActorCritic::Restore(const TensorFile& file) {
  const std::array<int64_t, 1> one = {1};
  const std::array<int64_t, 1> two = {2};
  const std::vector<float>& temperature = file.Floats("actor_critic.log_temperature", one);
  const std::vector<int32_t>& counters = file.Ints("actor_critic.counters", two);
  CheckFinite(file, "actor_critic.log_temperature");
  CheckCounters(file, "actor_critic.counters");
  actor_adam_.Restore("actor_critic.actor_", file);
  temperature_adam_.Restore("actor_critic.temperature_", file);
  log_temperature_ = temperature[0];
  invalid_critics_ = counters[0];
  invalid_actors_ = counters[1];
}

}  // namespace foreplan

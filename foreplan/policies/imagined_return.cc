#include "foreplan/policies/imagined_return.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/size.h"
#include "foreplan/models/imagination.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/models/terminal_value.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kModelNoise, kPolicyNoise };

constexpr auto kKeep = MlpTape::Keep::kAllGradients;

ImaginedReturnOptions Checked(ImaginedReturnOptions options, const Dynamics* dynamics,
                              const Reward* reward) {
  CheckModelAndReward("imagined return", dynamics, reward);
  for (const auto& [name, value] :
       {std::pair{"horizon", options.horizon}, std::pair{"particles", options.particles},
        std::pair{"starts", options.starts}}) {
    if (value >= 1) continue;
    throw InputError(
        fmt::format("imagined return: {}: found {}, expected at least 1", name, value));
  }
  if (!dynamics->is_stochastic()) options.particles = 1;
  return options;
}

}  // namespace

// Rows of a tile over all times; those of one time lie together, at rows x time.
struct ImaginedReturn::Tile {
  Tile(const NetworkPolicy& policy, const Dynamics& dynamics, int rows, int horizon)
      : model(dynamics.MakeTape(rows, horizon)),
        network(policy.mlp(), policy.kernel(), rows, horizon, kKeep),
        workspace(dynamics.MakeWorkspace(rows)),
        input(Size(rows, policy.mlp().inputs())),
        d_input(input.size()),
        d_output(Size(rows, policy.action_dim())),
        by_input(Size(policy.mlp().inputs())),
        state(dynamics.observation_is_state() ? 0 : Size(horizon + 1, rows, dynamics.state_dim())),
        observation(Size(horizon + 1, rows, dynamics.observation_dim())),
        action(Size(horizon, rows, dynamics.action_dim())),
        slope(action.size()),
        by_deviation(action.size()),
        weight(Size(horizon, rows)),
        action_noise(Size(rows, dynamics.action_dim())),
        model_noise(Size(rows, dynamics.observation_dim())),
        reward(Size(rows)),
        terminated(Size(rows)),
        ended(Size(rows)),
        by_transition(Size(rows, 2 * dynamics.observation_dim() + dynamics.action_dim())),
        by_next_state(Size(rows, dynamics.tangent_dim())),
        by_next_observation(Size(rows, dynamics.observation_dim())),
        by_state(by_next_state.size()),
        by_observation(by_next_observation.size()),
        by_action(Size(rows, dynamics.action_dim())) {}

  std::unique_ptr<RolloutTape> model;
  MlpTape network;
  std::unique_ptr<Dynamics::Workspace> workspace;
  std::vector<float> input, d_input;  // of the policy: [rows x inputs]
  std::vector<float> d_output;        // [rows x nu]
  std::vector<double> by_input;       // [inputs]
  // What happened.
  std::vector<double> state;         // [(horizon + 1) x rows x ns]; empty: the observation
  std::vector<double> observation;   // [(horizon + 1) x rows x no]
  std::vector<double> action;        // [horizon x rows x nu]
  std::vector<double> slope;         // d action / d output: [horizon x rows x nu]
  std::vector<double> by_deviation;  // d action / d deviation: [horizon x rows x nu]
  std::vector<double> weight;  // of the rewards in R, 0 where they do not count: [horizon x rows]
  std::vector<double> action_noise;        // [rows x nu]
  std::vector<double> model_noise;         // [rows x no]
  std::vector<double> reward;              // [rows]
  std::vector<uint8_t> terminated, ended;  // [rows]
  // On the way back: gradients of R.
  std::vector<double> by_transition;             // through the reward alone: [rows x nz]
  std::vector<double> by_next_state;             // [rows x nx]
  std::vector<double> by_next_observation;       // [rows x no]
  std::vector<double> by_state, by_observation;  // the same, a step earlier
  std::vector<double> by_action;                 // [rows x nu]
};

ImaginedReturn::ImaginedReturn(const NetworkPolicy& policy,
                               std::shared_ptr<const Dynamics> dynamics,
                               std::shared_ptr<const Reward> reward,
                               const ImaginedReturnOptions& options,
                               std::shared_ptr<Executor> executor,
                               std::shared_ptr<const TerminalValue> terminal_value)
    : policy_(policy),
      dynamics_(std::move(dynamics)),
      reward_(std::move(reward)),
      terminal_value_(std::move(terminal_value)),
      options_(Checked(options, dynamics_.get(), reward_.get())),
      executor_(std::move(executor)),
      tiles_per_particle_((options_.starts + kTileRows - 1) / kTileRows),
      deviation_(Size(dynamics_->action_dim())),
      reports_(Size(options_.particles, tiles_per_particle_)),
      d_parameters_(reports_.size(), std::vector<float>(policy.parameters().size())),
      d_deviation_(reports_.size(), std::vector<double>(deviation_.size())) {
  CheckTerminalValue(terminal_value_.get(), dynamics_->observation_dim());
  MakeTiles();
}

void ImaginedReturn::MakeTiles() {
  const int rows = std::min(kTileRows, options_.starts);
  CheckMemory("imagined rollouts",
              executor_->size() * MlpTape::Bytes(policy_.mlp(), rows, options_.horizon, kKeep));
  tiles_.clear();
  for (int worker = 0; worker < executor_->size(); ++worker) {
    tiles_.push_back(std::make_unique<Tile>(policy_, *dynamics_, rows, options_.horizon));
  }
}

void ImaginedReturn::set_model(const ModelVersion& version) {
  const Dynamics& dynamics = *version.dynamics;
  CheckReplaces(dynamics, *dynamics_);
  if (dynamics.is_stochastic() != dynamics_->is_stochastic()) {
    throw InputError(
        fmt::format("imagined return: dynamics: found a model {} noise, expected one {}",
                    dynamics.is_stochastic() ? "with" : "without",
                    dynamics_->is_stochastic() ? "with it" : "without"));
  }
  if (version.reward != nullptr) reward_ = version.reward;
  if (version.dynamics == dynamics_) return;
  dynamics_ = version.dynamics;
  MakeTiles();
}

ImaginedReturn::~ImaginedReturn() = default;

ImaginedReturnReport ImaginedReturn::Evaluate(std::span<const double> starts, Key key) {
  return Run(starts, key, false);
}

ImaginedReturnReport ImaginedReturn::Gradient(std::span<const double> starts, Key key,
                                              std::span<float> d_parameters,
                                              std::span<double> d_deviation) {
  const ImaginedReturnReport report = Run(starts, key, true);
  std::ranges::fill(d_parameters, 0.0F);
  std::ranges::fill(d_deviation, 0.0);
  for (size_t tile = 0; tile < d_parameters_.size(); ++tile) {
    for (size_t i = 0; i < d_parameters.size(); ++i) d_parameters[i] += d_parameters_[tile][i];
    for (size_t i = 0; i < d_deviation.size(); ++i) d_deviation[i] += d_deviation_[tile][i];
  }
  return report;
}

ImaginedReturnReport ImaginedReturn::Run(std::span<const double> starts, Key key, bool gradient) {
  for (int i = 0; i < policy_.action_dim(); ++i) {
    deviation_[Size(i)] = std::sqrt(policy_.covariance()(i, i));
  }
  executor_->ParallelFor(static_cast<int>(reports_.size()), [&](int index, int worker) {
    const TileRange range = RangeOf(index);
    Tile& tile = *tiles_[Size(worker)];
    ImaginedReturnReport& report = reports_[Size(index)];
    report = {};
    Start(range, starts, tile);
    for (int t = 0; t < options_.horizon; ++t) {
      Act(range, t, key, tile);
      Step(range, t, key, tile);
      Account(range, t, tile, report);
    }
    AccountTerminal(range, tile, report);
    if (gradient) GoBack(range, tile, d_parameters_[Size(index)], d_deviation_[Size(index)]);
  });
  ImaginedReturnReport total;
  for (const ImaginedReturnReport& report : reports_) {
    total.value += report.value;
    total.ended += report.ended;
    total.invalid += report.invalid;
  }
  return total;
}

ImaginedReturn::TileRange ImaginedReturn::RangeOf(int tile) const {
  const int particle = tile / tiles_per_particle_;
  const int part = tile % tiles_per_particle_;
  const int first = part * options_.starts / tiles_per_particle_;
  const int end = (part + 1) * options_.starts / tiles_per_particle_;
  return {tile, particle, particle * options_.starts + first, end - first};
}

void ImaginedReturn::Start(TileRange range, std::span<const double> starts, Tile& tile) const {
  const int ns = dynamics_->state_dim();
  const int no = dynamics_->observation_dim();
  std::fill_n(tile.ended.begin(), range.rows, uint8_t{0});
  const std::span<const double> first = starts.subspan(Size(range.first, ns), Size(range.rows, ns));
  if (dynamics_->observation_is_state()) {
    std::ranges::copy(first, tile.observation.begin());
    return;
  }
  std::ranges::copy(first, tile.state.begin());
  for (int row = 0; row < range.rows; ++row) {
    dynamics_->Observe(first.subspan(Size(row, ns), Size(ns)),
                       std::span(tile.observation).subspan(Size(row, no), Size(no)),
                       *tile.workspace);
  }
}

// u = clamp(pi(o) + deviation noise).
void ImaginedReturn::Act(TileRange range, int time, Key key, Tile& tile) const {
  const int no = dynamics_->observation_dim();
  const int nu = dynamics_->action_dim();
  policy_.encoder().Encode(range.rows, &tile.observation[Size(time, range.rows, no)],
                           tile.input.data());
  const float* y = tile.network.Forward(policy_.parameters(), time, range.rows, tile.input.data());
  const bool noisy = std::ranges::any_of(deviation_, [](double d) { return d > 0; });
  if (noisy) {
    Random(key.Fold(kPolicyNoise).Fold(Size(range.index)).Fold(Size(time)))
        .FillNormal(std::span(tile.action_noise).first(Size(range.rows, nu)));
  }
  for (int row = 0; row < range.rows; ++row) {
    for (int i = 0; i < nu; ++i) {
      const size_t in_tile = Size(row, nu) + Size(i);
      const size_t at = Size(time, range.rows, nu) + in_tile;
      const double noise = noisy ? tile.action_noise[in_tile] : 0.0;
      const auto [mean, slope] = policy_.Squash(i, y[in_tile]);
      const double action = mean + deviation_[Size(i)] * noise;
      tile.action[at] = std::clamp(action, policy_.low(i), policy_.high(i));
      const bool clamped = tile.action[at] != action;
      tile.slope[at] = clamped ? 0.0 : slope;
      tile.by_deviation[at] = clamped ? 0.0 : noise;
    }
  }
}

void ImaginedReturn::Step(TileRange range, int time, Key key, Tile& tile) const {
  const int ns = dynamics_->state_dim();
  const int no = dynamics_->observation_dim();
  const int nu = dynamics_->action_dim();
  std::vector<double>& states = tile.state.empty() ? tile.observation : tile.state;
  const auto noise = std::span(tile.model_noise).first(Size(range.rows, no));
  if (dynamics_->is_stochastic()) {
    Random(key.Fold(kModelNoise).Fold(Size(range.index)).Fold(Size(time))).FillNormal(noise);
  }
  double* next_observation = &tile.observation[Size(time + 1, range.rows, no)];
  tile.model->Step({.rows = range.rows,
                    .state = &states[Size(time, range.rows, ns)],
                    .action = &tile.action[Size(time, range.rows, nu)],
                    .next_state = &states[Size(time + 1, range.rows, ns)],
                    .next_observation = next_observation,
                    .particle = range.particle,
                    .particles = options_.particles,
                    .time = time,
                    .key = key,
                    .noise = dynamics_->is_stochastic() ? noise.data() : nullptr});
  reward_->Evaluate({.rows = range.rows,
                     .observation = &tile.observation[Size(time, range.rows, no)],
                     .action = &tile.action[Size(time, range.rows, nu)],
                     .next_observation = next_observation},
                    tile.reward.data(), tile.terminated.data());
}

// A row that has ended stays where it ended, which the model can digest, and earns nothing more.
void ImaginedReturn::Account(TileRange range, int time, Tile& tile,
                             ImaginedReturnReport& report) const {
  const int ns = dynamics_->state_dim();
  const int no = dynamics_->observation_dim();
  const double weight = std::pow(options_.discount, time) / rollouts();
  const auto stay = [&](std::vector<double>& values, int row, int columns) {
    std::copy_n(&values[Size(time, range.rows, columns) + Size(row, columns)], columns,
                &values[Size(time + 1, range.rows, columns) + Size(row, columns)]);
  };
  for (int row = 0; row < range.rows; ++row) {
    const bool was_over = tile.ended[Size(row)] != 0;
    const double* next = &tile.observation[Size(time + 1, range.rows, no) + Size(row, no)];
    const bool finite =
        AllFinite(std::span(next, Size(no))) && std::isfinite(tile.reward[Size(row)]);
    const bool counts = !was_over && finite;
    tile.weight[Size(time, range.rows) + Size(row)] = counts ? weight : 0.0;
    if (counts) {
      report.value += weight * tile.reward[Size(row)];
      if (tile.terminated[Size(row)] != 0 && options_.stop_at_termination) {
        tile.ended[Size(row)] = 1;
        ++report.ended;
      }
      continue;
    }
    if (!was_over) ++report.invalid;
    tile.ended[Size(row)] = 1;
    stay(tile.observation, row, no);
    if (!tile.state.empty()) stay(tile.state, row, ns);
  }
}

// gamma^H, of one of the rollouts.
double ImaginedReturn::TerminalWeight() const {
  return std::pow(options_.discount, options_.horizon) / rollouts();
}

void ImaginedReturn::AccountTerminal(TileRange range, Tile& tile,
                                     ImaginedReturnReport& report) const {
  if (terminal_value_ == nullptr) return;
  const int no = dynamics_->observation_dim();
  const double weight = TerminalWeight();
  terminal_value_->Evaluate(range.rows, &tile.observation[Size(options_.horizon, range.rows, no)],
                            tile.reward.data());
  for (int row = 0; row < range.rows; ++row) {
    if (tile.ended[Size(row)] != 0) continue;
    if (std::isfinite(tile.reward[Size(row)])) {
      report.value += weight * tile.reward[Size(row)];
    } else {
      ++report.invalid;
      tile.ended[Size(row)] = 1;
    }
  }
}

// lambda_H = gamma^H dV/do_H, 0 for rows that have ended.
void ImaginedReturn::AddTerminalGradient(TileRange range, Tile& tile) const {
  if (terminal_value_ == nullptr) return;
  const int no = dynamics_->observation_dim();
  const double weight = TerminalWeight();
  terminal_value_->Gradient(range.rows, &tile.observation[Size(options_.horizon, range.rows, no)],
                            tile.by_next_observation.data());
  for (int row = 0; row < range.rows; ++row) {
    const double factor = tile.ended[Size(row)] != 0 ? 0.0 : weight;
    for (int i = 0; i < no; ++i) {
      double& entry = tile.by_next_observation[Size(row, no) + Size(i)];
      entry = factor == 0 ? 0.0 : factor * entry;
    }
  }
}

void ImaginedReturn::GoBack(TileRange range, Tile& tile, std::span<float> d_parameters,
                            std::span<double> d_deviation) const {
  std::ranges::fill(tile.by_next_state, 0.0);
  std::ranges::fill(tile.by_next_observation, 0.0);
  std::ranges::fill(d_deviation, 0.0);
  AddTerminalGradient(range, tile);
  for (int t = options_.horizon - 1; t >= 0; --t) {
    AddRewardGradient(range, t, tile);
    tile.model->PullBack(t, tile.by_next_state.data(), tile.by_next_observation.data(),
                         tile.by_state.data(), tile.by_action.data());
    PullBackPolicy(range, t, tile, d_deviation);
    if (options_.adjoint_clip > 0) ClipAdjoints(range, tile);
    std::swap(tile.by_state, tile.by_next_state);
    std::swap(tile.by_observation, tile.by_next_observation);
  }
  tile.network.ParameterGradient(options_.horizon, d_parameters);
}

// lambda of a rollout, by state and observation together, is no longer than allowed.
void ImaginedReturn::ClipAdjoints(TileRange range, Tile& tile) const {
  const int nx = dynamics_->tangent_dim();
  const int no = dynamics_->observation_dim();
  for (int row = 0; row < range.rows; ++row) {
    double* by_state = &tile.by_state[Size(row, nx)];
    double* by_observation = &tile.by_observation[Size(row, no)];
    double squares = 0;
    if (dynamics_->observation_is_state()) {
      for (int i = 0; i < nx; ++i) squares += std::pow(by_state[i] + by_observation[i], 2);
    } else {
      for (int i = 0; i < nx; ++i) squares += by_state[i] * by_state[i];
      for (int i = 0; i < no; ++i) squares += by_observation[i] * by_observation[i];
    }
    const double norm = rollouts() * std::sqrt(squares);
    if (norm <= options_.adjoint_clip) continue;
    const double scale = options_.adjoint_clip / norm;
    for (int i = 0; i < nx; ++i) by_state[i] *= scale;
    for (int i = 0; i < no; ++i) by_observation[i] *= scale;
  }
}

// The reward's own part: by o_{t+1} into what comes from later, by o_t and u_t kept for the policy.
void ImaginedReturn::AddRewardGradient(TileRange range, int time, Tile& tile) const {
  const int no = dynamics_->observation_dim();
  const int nu = dynamics_->action_dim();
  const int nz = 2 * no + nu;
  reward_->Gradient({.rows = range.rows,
                     .observation = &tile.observation[Size(time, range.rows, no)],
                     .action = &tile.action[Size(time, range.rows, nu)],
                     .next_observation = &tile.observation[Size(time + 1, range.rows, no)]},
                    tile.by_transition.data());
  for (int row = 0; row < range.rows; ++row) {
    const double weight = tile.weight[Size(time, range.rows) + Size(row)];
    double* by_transition = &tile.by_transition[Size(row, nz)];
    for (int i = 0; i < nz; ++i) by_transition[i] = weight == 0 ? 0.0 : weight * by_transition[i];
    for (int i = 0; i < no; ++i) {
      tile.by_next_observation[Size(row, no) + Size(i)] += by_transition[no + nu + i];
    }
  }
}

// From the action to the observation, with the reward's part by both.
void ImaginedReturn::PullBackPolicy(TileRange range, int time, Tile& tile,
                                    std::span<double> d_deviation) const {
  const int no = dynamics_->observation_dim();
  const int nu = dynamics_->action_dim();
  const int nz = 2 * no + nu;
  for (int row = 0; row < range.rows; ++row) {
    // Nothing after an end counts; a step that led to no number has no derivatives either.
    if (tile.weight[Size(time, range.rows) + Size(row)] == 0) {
      std::fill_n(&tile.by_state[Size(row, dynamics_->tangent_dim())], dynamics_->tangent_dim(),
                  0.0);
      std::fill_n(&tile.by_action[Size(row, nu)], nu, 0.0);
    }
    for (int i = 0; i < nu; ++i) {
      const size_t in_tile = Size(row, nu) + Size(i);
      const size_t at = Size(time, range.rows, nu) + in_tile;
      const double by_action =
          tile.by_action[in_tile] + tile.by_transition[Size(row, nz) + Size(no + i)];
      tile.d_output[in_tile] = static_cast<float>(by_action * tile.slope[at]);
      d_deviation[Size(i)] += by_action * tile.by_deviation[at];
    }
  }
  tile.network.PullBack(policy_.parameters(), time, tile.d_output.data(), tile.d_input.data());
  policy_.encoder().PullBack(range.rows, &tile.observation[Size(time, range.rows, no)],
                             tile.d_input.data(), policy_.mlp().inputs(), tile.by_input,
                             tile.by_observation.data());
  for (int row = 0; row < range.rows; ++row) {
    for (int i = 0; i < no; ++i) {
      tile.by_observation[Size(row, no) + Size(i)] += tile.by_transition[Size(row, nz) + Size(i)];
    }
  }
}

}  // namespace foreplan

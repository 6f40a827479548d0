#include "foreplan/models/imagination.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/size.h"
#include "foreplan/models/terminal_value.h"

namespace foreplan {
namespace {

constexpr int kMinTileRows = 8;  // below this a tile's fixed costs outweigh the balance it buys
constexpr int kMinTiles = 8;     // per evaluation, so that a few threads all have work
constexpr int kRowBlock = 16;    // what matrix units take at once

// Tiles per particle: as few as kTileRows allows, then more until the total shares out well: at
// least kMinTiles where rows suffice, and an even number.
int TilesPerParticle(int candidates, int particles) {
  const int fewest = (candidates + Imagination::kTileRows - 1) / Imagination::kTileRows;
  const int most = std::max(1, candidates / kMinTileRows);
  int tiles = std::max(fewest, std::min(most, (kMinTiles + particles - 1) / particles));
  if (tiles * particles % 2 != 0 && tiles < candidates) ++tiles;
  return tiles;
}

// The first row of a tile of a particle's candidates. Tiles differ by whole blocks of rows; blocks
// get smaller where there are not enough of them for the tiles.
int FirstRow(int tile, int tiles, int candidates) {
  int block = kRowBlock;
  while (block > 1 && candidates / block < tiles) block /= 2;
  const int blocks = (candidates + block - 1) / block;
  return std::min(candidates, tile * blocks / tiles * block);
}

}  // namespace

void CheckModelAndReward(const std::string& who, const Dynamics* dynamics, const Reward* reward) {
  if (dynamics == nullptr) throw InputError(who + ": dynamics: found null, expected a model");
  if (reward == nullptr) throw InputError(who + ": reward: found null, expected one");
  CheckSizes(who + ": reward", *reward, {dynamics->observation_dim(), dynamics->action_dim()});
}

struct Imagination::Tile {
  Tile(const Dynamics& dynamics, int max_rows, bool expected)
      : workspace(expected ? dynamics.MakeDerivativeWorkspace(max_rows)
                           : dynamics.MakeWorkspace(max_rows)),
        state(Size(max_rows, dynamics.state_dim())),
        next_state(Size(max_rows, dynamics.state_dim())),
        action(Size(max_rows, dynamics.action_dim())),
        reward(Size(max_rows)),
        terminated(Size(max_rows)),
        ended(Size(max_rows)) {
    if (dynamics.observation_is_state()) return;
    observation.resize(Size(max_rows, dynamics.observation_dim()));
    next_observation.resize(observation.size());
  }

  const double* Observation() const {
    return observation.empty() ? state.data() : observation.data();
  }
  double* NextObservation() {
    return next_observation.empty() ? next_state.data() : next_observation.data();
  }

  std::unique_ptr<Dynamics::Workspace> workspace;
  std::vector<double> state;             // [rows x state_dim]
  std::vector<double> next_state;        // [rows x state_dim]
  std::vector<double> observation;       // [rows x no]; empty when the state is the observation
  std::vector<double> next_observation;  // [rows x no]; empty when the state is the observation
  std::vector<double> action;            // [rows x nu]
  std::vector<double> reward;            // [rows]
  std::vector<uint8_t> terminated;       // [rows], by the last step
  std::vector<uint8_t> ended;            // [rows], by an earlier step
};

Imagination::Imagination(std::shared_ptr<const Dynamics> dynamics,
                         std::shared_ptr<const Reward> reward, ImaginationSize size,
                         std::shared_ptr<Executor> executor,
                         std::shared_ptr<const TerminalValue> terminal_value)
    : dynamics_(std::move(dynamics)),
      reward_(std::move(reward)),
      terminal_value_(std::move(terminal_value)),
      size_(size),
      executor_(std::move(executor)) {
  for (const auto& [name, value] :
       {std::pair{"horizon", size.horizon}, std::pair{"max_candidates", size.max_candidates},
        std::pair{"particles", size.particles}}) {
    if (value < 1) {
      throw InputError(fmt::format("imagination: {}: found {}, expected at least 1", name, value));
    }
  }
  CheckModelAndReward("imagination", dynamics_.get(), reward_.get());
  if (executor_ == nullptr) throw InputError("imagination: executor: found null, expected one");
  CheckTerminalValue(terminal_value_.get(), dynamics_->observation_dim());
  MakeTiles();
}

void Imagination::MakeTiles() {
  particles_ = dynamics_->is_stochastic() && !size_.expected ? size_.particles : 1;
  CheckMemory("planner",
              static_cast<double>(sizeof(double) * Size(particles_, size_.max_candidates)));
  start_state_.resize(Size(dynamics_->state_dim()));
  start_observation_.resize(Size(dynamics_->observation_dim()));
  particle_returns_.resize(Size(particles_, size_.max_candidates));
  const int max_rows = std::min(kTileRows, size_.max_candidates);
  tiles_.clear();
  for (int worker = 0; worker < executor_->size(); ++worker) {
    tiles_.push_back(std::make_unique<Tile>(*dynamics_, max_rows, size_.expected));
  }
}

void Imagination::set_model(const ModelVersion& version) {
  if (version.dynamics != dynamics_) {
    CheckReplaces(*version.dynamics, *dynamics_);
    dynamics_ = version.dynamics;
    MakeTiles();
  }
  if (version.reward != nullptr) reward_ = version.reward;
}

Imagination::~Imagination() = default;

bool Imagination::Evaluate(std::span<const double> state, std::span<const double> actions, Key key,
                           std::span<double> returns, const Cutoff& cutoff) {
  const int candidates = static_cast<int>(returns.size());
  std::copy(state.begin(), state.end(), start_state_.begin());
  dynamics_->Observe(start_state_, start_observation_, *tiles_[0]->workspace);

  const int tiles_per_particle = TilesPerParticle(candidates, particles_);
  const Rollout rollout{actions, key, cutoff};
  std::atomic<bool> late = false;
  executor_->ParallelFor(tiles_per_particle * particles_, [&](int task, int worker) {
    const int particle = task / tiles_per_particle;
    const int part = task % tiles_per_particle;
    const int first = FirstRow(part, tiles_per_particle, candidates);
    const int end = FirstRow(part + 1, tiles_per_particle, candidates);
    if (late || !RollTile({particle, first, end - first}, rollout, *tiles_[Size(worker)],
                          &particle_returns_[Size(particle, candidates) + Size(first)])) {
      late = true;
    }
  });
  if (late) return false;

  for (int c = 0; c < candidates; ++c) {
    double sum = 0;
    for (int p = 0; p < particles_; ++p) sum += particle_returns_[Size(p, candidates) + Size(c)];
    returns[Size(c)] =
        std::isfinite(sum) ? sum / particles_ : -std::numeric_limits<double>::infinity();
  }
  return true;
}

bool Imagination::RollTile(TileRange range, const Rollout& rollout, Tile& tile,
                           double* returns) const {
  StartTile(range.rows, tile);
  std::fill_n(returns, range.rows, 0.0);
  int alive = range.rows;
  for (int t = 0; t < size_.horizon && alive > 0; ++t) {
    if (rollout.cutoff.IsReached()) return false;
    GatherActions(range, t, rollout.actions, tile);
    StepTile(range, t, rollout.key, tile);
    if (alive < range.rows || !TryAddRewardsOfAllRows(range.rows, tile, returns)) {
      alive -= AddRewards(range.rows, tile, returns);
      FreezeEndedRows(range.rows, tile);
    }
    std::swap(tile.state, tile.next_state);
    std::swap(tile.observation, tile.next_observation);
  }
  if (terminal_value_ != nullptr && alive > 0) AddTerminalValues(range.rows, tile, returns);
  return true;
}

void Imagination::AddTerminalValues(int rows, Tile& tile, double* returns) const {
  terminal_value_->Evaluate(rows, tile.Observation(), tile.reward.data());
  for (int row = 0; row < rows; ++row) {
    if (tile.ended[Size(row)] == 0) returns[row] += tile.reward[Size(row)];
  }
}

void Imagination::StartTile(int rows, Tile& tile) const {
  for (int row = 0; row < rows; ++row) {
    std::copy(start_state_.begin(), start_state_.end(),
              &tile.state[Size(row, dynamics_->state_dim())]);
    if (dynamics_->observation_is_state()) continue;
    std::copy(start_observation_.begin(), start_observation_.end(),
              &tile.observation[Size(row, dynamics_->observation_dim())]);
  }
  std::fill_n(tile.ended.begin(), rows, uint8_t{0});
}

void Imagination::GatherActions(TileRange range, int time, std::span<const double> actions,
                                Tile& tile) const {
  const int nu = dynamics_->action_dim();
  const auto stride = static_cast<ptrdiff_t>(Size(size_.horizon, nu));
  const double* from = &actions[Size(range.first) * Size(size_.horizon, nu) + Size(time, nu)];
  double* to = tile.action.data();
  const auto gather = [&](auto dim) {  // a constant, where a loop per row is dear
    for (int row = 0; row < range.rows; ++row, from += stride, to += dim) {
      for (int i = 0; i < dim; ++i) to[i] = from[i];
    }
  };
  if (nu == 1) return gather(std::integral_constant<int, 1>{});
  if (nu == 2) return gather(std::integral_constant<int, 2>{});
  gather(nu);
}

void Imagination::StepTile(TileRange range, int time, Key key, Tile& tile) const {
  const StepBatch batch{.rows = range.rows,
                        .state = tile.state.data(),
                        .action = tile.action.data(),
                        .next_state = tile.next_state.data(),
                        .next_observation = tile.NextObservation(),
                        .particle = range.particle,
                        .particles = particles_,
                        .time = time,
                        .key = key};
  if (size_.expected) {
    dynamics_->StepMean(batch, *tile.workspace);
  } else {
    dynamics_->Step(batch, *tile.workspace);
  }
  reward_->Evaluate({.rows = range.rows,
                     .observation = tile.Observation(),
                     .action = tile.action.data(),
                     .next_observation = tile.NextObservation()},
                    tile.reward.data(), tile.terminated.data());
}

bool Imagination::TryAddRewardsOfAllRows(int rows, Tile& tile, double* returns) const {
  const std::span<const double> next(tile.NextObservation(),
                                     Size(rows, dynamics_->observation_dim()));
  const bool finite = AllFinite(next);
  uint8_t terminated = 0;
  for (int row = 0; row < rows; ++row) terminated |= tile.terminated[Size(row)];
  if (terminated != 0 || !finite) return false;
  for (int row = 0; row < rows; ++row) returns[row] += tile.reward[Size(row)];
  return true;
}

int Imagination::AddRewards(int rows, Tile& tile, double* returns) const {
  const int no = dynamics_->observation_dim();
  int ended = 0;
  for (int row = 0; row < rows; ++row) {
    if (tile.ended[Size(row)] != 0) continue;
    // A reward need not notice a NaN (comparisons with it are just false), so the row is looked at.
    const std::span<const double> next(tile.NextObservation() + Size(row, no), Size(no));
    const bool finite = AllFinite(next);
    returns[row] += finite ? tile.reward[Size(row)] : std::numeric_limits<double>::quiet_NaN();
    if (finite && tile.terminated[Size(row)] == 0) continue;
    tile.ended[Size(row)] = 1;
    ++ended;
  }
  return ended;
}

// An ended row stays in the batch at the last state before its end, which the model can digest; its
// rewards are no longer counted.
void Imagination::FreezeEndedRows(int rows, Tile& tile) const {
  const int ns = dynamics_->state_dim();
  const int no = dynamics_->observation_dim();
  for (int row = 0; row < rows; ++row) {
    if (tile.ended[Size(row)] == 0) continue;
    std::copy_n(&tile.state[Size(row, ns)], ns, &tile.next_state[Size(row, ns)]);
    if (dynamics_->observation_is_state()) continue;
    std::copy_n(&tile.observation[Size(row, no)], no, &tile.next_observation[Size(row, no)]);
  }
}

}  // namespace foreplan

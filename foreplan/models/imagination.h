// Imagined returns: candidates x particles rolled through a model and its reward.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/deadline.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/model_version.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

class TerminalValue;

/// Throws InputError, which starts with `who`, for a model or a reward that is null, and for a
/// reward of transitions of other sizes than the model's.
void CheckModelAndReward(const std::string& who, const Dynamics* dynamics, const Reward* reward);

struct ImaginationSize {
  int horizon = 0;         // steps
  int max_candidates = 0;  // action sequences per call
  int particles = 1;       // rollouts per candidate; 1 is used when the model is not stochastic
  bool expected = false;   // one rollout along the expected next states (Dynamics::StepMean)
};

/// Rolls action sequences through a model. A worker takes a tile (one particle, up to kTileRows
/// candidates) over the whole horizon, so a tile stays in cache and there is no barrier per step;
/// the partition does not depend on the number of threads. Allocates only when it
/// is made, and when it gets another model.
class Imagination {
 public:
  static constexpr int kTileRows = 128;

  /// terminal_value: of the observations at the horizon; null: none. Throws InputError when sizes
  /// are not positive, for a reward or a value of other sizes than the model's, and where one of
  /// the others is null.
  Imagination(std::shared_ptr<const Dynamics> dynamics, std::shared_ptr<const Reward> reward,
              ImaginationSize size, std::shared_ptr<Executor> executor,
              std::shared_ptr<const TerminalValue> terminal_value = nullptr);
  ~Imagination();

  [[nodiscard]] const Dynamics& dynamics() const { return *dynamics_; }
  /// From now on another version of the model. Throws InputError unless it has the same sizes.
  void set_model(const ModelVersion& version);
  [[nodiscard]] int horizon() const { return size_.horizon; }

  /// returns[c] = mean over particles of sum_{t<H} r(o_t, u_t, o_{t+1}) + V(o_H); after a predicted
  /// termination the row is frozen and earns nothing more, no terminal value either. A candidate
  /// that is not finite gets -infinity.
  /// False when the cutoff came before all was imagined; then the returns are no returns. It is
  /// looked at before every step of a tile.
  /// state: [state_dim]; actions: [candidates x horizon x nu]; returns: [candidates].
  bool Evaluate(std::span<const double> state, std::span<const double> actions, Key key,
                std::span<double> returns, const Cutoff& cutoff = {});

 private:
  struct Tile;  // one worker's buffers
  struct TileRange {
    int particle = 0;
    int first = 0;  // candidate
    int rows = 0;   // candidates
  };

  /// What the tiles of one evaluation share.
  struct Rollout {
    std::span<const double> actions;  // [candidates x horizon x nu]
    Key key;
    const Cutoff& cutoff;
  };

  /// Workspaces of the model, as many particles as it has use for.
  void MakeTiles();
  /// Returns of the range's candidates for its particle, summed over the horizon: [rows]. False
  /// when the cutoff came.
  bool RollTile(TileRange range, const Rollout& rollout, Tile& tile, double* returns) const;
  void StartTile(int rows, Tile& tile) const;
  void GatherActions(TileRange range, int time, std::span<const double> actions, Tile& tile) const;
  void StepTile(TileRange range, int time, Key key, Tile& tile) const;
  /// Adds the rewards when all rows are finite and none ended, the common case; else does nothing.
  bool TryAddRewardsOfAllRows(int rows, Tile& tile, double* returns) const;
  /// How many rows ended with this step.
  int AddRewards(int rows, Tile& tile, double* returns) const;
  void FreezeEndedRows(int rows, Tile& tile) const;
  /// V(o_H) of the rows that go on beyond the horizon.
  void AddTerminalValues(int rows, Tile& tile, double* returns) const;

  std::shared_ptr<const Dynamics> dynamics_;
  std::shared_ptr<const Reward> reward_;
  std::shared_ptr<const TerminalValue> terminal_value_;  // or null
  ImaginationSize size_;
  int particles_ = 1;  // that are imagined
  std::shared_ptr<Executor> executor_;
  std::vector<double> start_state_;           // [state_dim]
  std::vector<double> start_observation_;     // [no]
  std::vector<double> particle_returns_;      // [particles x candidates]
  std::vector<std::unique_ptr<Tile>> tiles_;  // [workers]
};

}  // namespace foreplan

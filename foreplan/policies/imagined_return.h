// The return that a network policy imagines through a model, and its exact gradient.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/model_version.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

class TerminalValue;

struct ImaginedReturnOptions {
  int horizon = 0;                  // [steps]
  int particles = 1;                // 1 is used when the model is not stochastic
  int starts = 1;                   // rollouts per particle
  double discount = 1;              // gamma
  bool stop_at_termination = true;  // else rewards count on as if nothing had ended
  double adjoint_clip = 0;          // largest norm of a rollout's lambda; 0: the exact gradient
};

/// What the rollouts of one evaluation did.
struct ImaginedReturnReport {
  double value = 0;  // R
  int ended = 0;     // rollouts that a termination cut short
  int invalid = 0;   // rollouts that came to numbers that are not finite
};

/// R(theta) = mean over rollouts of sum_{t<H} gamma^t r(o_t, u_t, o_{t+1}) + gamma^H V(o_H),
/// u_t ~ pi_theta(o_t) clamped to the bounds, with all noise reparameterised: R is a function of
/// the parameters, the starts and the key, and smooth where the model and the reward are (but for
/// terminations). A rollout that ended has no terminal value.
///
/// The gradient goes backwards in time through the states and is exact (Heess et al. 2015):
///   lambda_t = dr_t/do_t + (df/do)' lambda_{t+1} + (dpi/do)' (dr_t/du_t + (df/du)' lambda_{t+1})
/// where dr_{t}/do_{t+1} joins lambda_{t+1}, and lambda_H = gamma^H dV/do_H.
///
/// Near an unstable state that the policy does not yet stabilise, lambda grows with every step
/// back, and a few rollouts outweigh all others. adjoint_clip shortens the lambda of such a
/// rollout, which keeps its direction; the gradient is then no longer that of R.
///
/// A worker takes a tile (rollouts of one particle) over the whole horizon and back; neither the
/// tiles nor the order of sums depend on the number of threads. Allocates only when it is made, and
/// when it gets another model.
class ImaginedReturn {
 public:
  static constexpr int kTileRows = 64;

  /// terminal_value: V; null: none. The policy must outlive this object. Throws InputError when
  /// sizes are not positive, for a value of observations of another size, and when the memory does
  /// not suffice.
  ImaginedReturn(const NetworkPolicy& policy, std::shared_ptr<const Dynamics> dynamics,
                 std::shared_ptr<const Reward> reward, const ImaginedReturnOptions& options,
                 std::shared_ptr<Executor> executor,
                 std::shared_ptr<const TerminalValue> terminal_value = nullptr);
  ~ImaginedReturn();

  /// From now on another version of the model. Throws InputError unless it has the same sizes and
  /// is as stochastic.
  void set_model(const ModelVersion& version);

  [[nodiscard]] int rollouts() const { return options_.particles * options_.starts; }
  [[nodiscard]] int horizon() const { return options_.horizon; }

  /// starts: [rollouts x state_dim], those of one particle together.
  ImaginedReturnReport Evaluate(std::span<const double> starts, Key key);
  /// The same, and the gradient of R by the policy's parameters and by the deviations of its
  /// actions, the roots of its covariance's diagonal: [parameters], [nu]. It may be not finite.
  ImaginedReturnReport Gradient(std::span<const double> starts, Key key,
                                std::span<float> d_parameters, std::span<double> d_deviation);

 private:
  struct Tile;  // one worker's buffers
  struct TileRange {
    int index = 0;
    int particle = 0;
    int first = 0;  // rollout
    int rows = 0;
  };

  void MakeTiles();
  ImaginedReturnReport Run(std::span<const double> starts, Key key, bool gradient);
  [[nodiscard]] TileRange RangeOf(int tile) const;
  void Start(TileRange range, std::span<const double> starts, Tile& tile) const;
  void Act(TileRange range, int time, Key key, Tile& tile) const;
  void Step(TileRange range, int time, Key key, Tile& tile) const;
  /// Adds rewards, and settles how the rows go on.
  void Account(TileRange range, int time, Tile& tile, ImaginedReturnReport& report) const;
  /// gamma^H V(o_H) of the rows that go on.
  void AccountTerminal(TileRange range, Tile& tile, ImaginedReturnReport& report) const;
  void AddTerminalGradient(TileRange range, Tile& tile) const;
  [[nodiscard]] double TerminalWeight() const;
  void GoBack(TileRange range, Tile& tile, std::span<float> d_parameters,
              std::span<double> d_deviation) const;
  void AddRewardGradient(TileRange range, int time, Tile& tile) const;
  void ClipAdjoints(TileRange range, Tile& tile) const;
  void PullBackPolicy(TileRange range, int time, Tile& tile, std::span<double> d_deviation) const;

  const NetworkPolicy& policy_;
  std::shared_ptr<const Dynamics> dynamics_;
  std::shared_ptr<const Reward> reward_;
  std::shared_ptr<const TerminalValue> terminal_value_;  // or null
  ImaginedReturnOptions options_;
  std::shared_ptr<Executor> executor_;
  int tiles_per_particle_ = 1;
  std::vector<double> deviation_;                 // of actions: [nu]
  std::vector<ImaginedReturnReport> reports_;     // [tiles]
  std::vector<std::vector<float>> d_parameters_;  // [tiles]
  std::vector<std::vector<double>> d_deviation_;  // [tiles]
  std::vector<std::unique_ptr<Tile>> tiles_;      // [workers]
};

}  // namespace foreplan

// What critics say lies beyond a plan's horizon.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/models/terminal_value.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {

/// V(o) = mean over critics of Q_k(o, tanh mu(o)): the policy's mean action is taken from there on.
/// Policy and critics as they are when it is made. Threads that ask at the same time have buffers
/// of their own, which stay: it allocates no more once as many as ever asked together have some.
class CriticValue final : public TerminalValue {
 public:
  /// Throws InputError for critics that see other observations or actions than the policy.
  CriticValue(const SquashedGaussianPolicy& policy, const CriticEnsemble& critics);
  ~CriticValue() override;

  [[nodiscard]] int observation_dim() const override { return policy_.observation_dim(); }
  void Evaluate(int rows, const double* observation, double* value) const override;
  /// Through the critics, and through the policy's action.
  void Gradient(int rows, const double* observation, double* gradient) const override;

 private:
  struct Buffers;

  /// `work(buffers, first, rows)` for the rows in blocks that buffers hold.
  template <typename Work>
  void ForBlocks(int rows, const Work& work) const;
  [[nodiscard]] std::unique_ptr<Buffers> Borrow() const;
  void Forward(int rows, const double* observation, Buffers& buffers) const;
  void Back(int rows, const double* observation, Buffers& buffers, double* gradient) const;

  SquashedGaussianPolicy policy_;
  Mlp mlp_;  // of the critics
  const DenseKernel& kernel_;
  ValueBounds bounds_;
  std::vector<std::vector<float>> critics_;  // parameters of each
  mutable std::mutex mutex_;                 // of free_
  mutable std::vector<std::unique_ptr<Buffers>> free_;
};

}  // namespace foreplan

#include "foreplan/critics/critic_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {
namespace {

constexpr int kBlockRows = 64;
constexpr auto kKeep = MlpTape::Keep::kInputGradients;

}  // namespace

// Of one thread, for a block of rows.
struct CriticValue::Buffers {
  Buffers(const SquashedGaussianPolicy& actor, const Mlp& mlp, const DenseKernel& kernel,
          int critic_count)
      : policy(actor.mlp(), actor.kernel(), kBlockRows, 1, kKeep),
        critics(mlp, kernel, kBlockRows, critic_count, kKeep),
        x(Size(kBlockRows, actor.mlp().inputs())),
        d_x(x.size()),
        d_output(Size(kBlockRows, actor.mlp().outputs())),
        critic_x(Size(kBlockRows, mlp.inputs())),
        d_critic_x(critic_x.size()),
        d_q(kBlockRows),
        action(Size(kBlockRows, actor.action_dim())),
        by_input(Size(actor.mlp().inputs())),
        value(kBlockRows) {}

  MlpTape policy, critics;
  std::vector<float> x, d_x;                // of the policy: [rows x inputs]
  std::vector<float> d_output;              // of the policy: [rows x 2 nu]
  std::vector<float> critic_x, d_critic_x;  // [rows x critic inputs]
  std::vector<float> d_q;                   // [rows]
  std::vector<double> action;               // in half ranges: [rows x nu]
  std::vector<double> by_input;             // [inputs]
  std::vector<double> value;                // [rows]
};

CriticValue::CriticValue(const SquashedGaussianPolicy& policy, const CriticEnsemble& critics)
    : policy_(policy), mlp_(critics.mlp()), kernel_(critics.kernel()), bounds_(critics.bounds()) {
  const int features = policy.encoder().inputs();
  if (critics.observation_inputs() != features ||
      critics.inputs() != features + policy.action_dim()) {
    throw InputError(fmt::format(
        "critic value: found critics of {} inputs, {} of them of observations, expected {} and {} "
        "as the policy has",
        critics.inputs(), critics.observation_inputs(), features + policy.action_dim(), features));
  }
  for (int k = 0; k < critics.critics(); ++k) {
    critics_.emplace_back(critics.parameters(k).begin(), critics.parameters(k).end());
  }
}

CriticValue::~CriticValue() = default;

std::unique_ptr<CriticValue::Buffers> CriticValue::Borrow() const {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    return std::make_unique<Buffers>(policy_, mlp_, kernel_, static_cast<int>(critics_.size()));
  }
  std::unique_ptr<Buffers> buffers = std::move(free_.back());
  free_.pop_back();
  return buffers;
}

template <typename Work>
void CriticValue::ForBlocks(int rows, const Work& work) const {
  std::unique_ptr<Buffers> buffers = Borrow();
  for (int first = 0; first < rows; first += kBlockRows) {
    work(*buffers, first, std::min(kBlockRows, rows - first));
  }
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(buffers));
}

void CriticValue::Evaluate(int rows, const double* observation, double* value) const {
  ForBlocks(rows, [&](Buffers& buffers, int first, int count) {
    Forward(count, observation + Size(first, observation_dim()), buffers);
    std::copy_n(buffers.value.data(), count, value + first);
  });
}

void CriticValue::Gradient(int rows, const double* observation, double* gradient) const {
  ForBlocks(rows, [&](Buffers& buffers, int first, int count) {
    const size_t at = Size(first, observation_dim());
    Forward(count, observation + at, buffers);
    Back(count, observation + at, buffers, gradient + at);
  });
}

void CriticValue::Forward(int rows, const double* observation, Buffers& buffers) const {
  const int nu = policy_.action_dim();
  const int features = policy_.encoder().inputs();
  policy_.encoder().Encode(rows, observation, buffers.x.data());
  const float* output = buffers.policy.Forward(policy_.parameters(), 0, rows, buffers.x.data());
  for (int row = 0; row < rows; ++row) {
    const auto action = std::span(buffers.action).subspan(Size(row, nu), Size(nu));
    std::transform(output + Size(row, 2 * nu), output + Size(row, 2 * nu) + nu, action.begin(),
                   [](float mean) { return std::tanh(static_cast<double>(mean)); });
    FillCriticInput(std::span(buffers.x).subspan(Size(row, features), Size(features)), action,
                    &buffers.critic_x[Size(row, mlp_.inputs())]);
  }
  std::fill_n(buffers.value.begin(), rows, 0.0);
  const auto count = static_cast<double>(critics_.size());
  for (size_t k = 0; k < critics_.size(); ++k) {
    const float* q =
        buffers.critics.Forward(critics_[k], static_cast<int>(k), rows, buffers.critic_x.data());
    for (int row = 0; row < rows; ++row) {
      buffers.value[Size(row)] += bounds_.Value(q[row]) / count;
    }
  }
}

// dV/do = dQ/do + (da/do)' dQ/da, a = tanh mu(o).
void CriticValue::Back(int rows, const double* observation, Buffers& buffers,
                       double* gradient) const {
  const int nu = policy_.action_dim();
  const int features = policy_.encoder().inputs();
  std::fill_n(buffers.d_q.begin(), rows,
              static_cast<float>(bounds_.half_range() / static_cast<double>(critics_.size())));
  std::fill_n(buffers.d_output.begin(), Size(rows, 2 * nu), 0.0F);
  std::vector<float>& by_state = buffers.x;  // no longer asked for
  std::fill_n(by_state.begin(), Size(rows, features), 0.0F);
  for (size_t k = 0; k < critics_.size(); ++k) {
    buffers.critics.PullBack(critics_[k], static_cast<int>(k), buffers.d_q.data(),
                             buffers.d_critic_x.data());
    for (int row = 0; row < rows; ++row) {
      const float* d_row = &buffers.d_critic_x[Size(row, mlp_.inputs())];
      for (int i = 0; i < features; ++i) by_state[Size(row, features) + Size(i)] += d_row[i];
      for (int i = 0; i < nu; ++i) {
        const double action = buffers.action[Size(row, nu) + Size(i)];
        buffers.d_output[Size(row, 2 * nu) + Size(i)] +=
            static_cast<float>(d_row[features + i] * (1 - action * action));
      }
    }
  }
  buffers.policy.PullBack(policy_.parameters(), 0, buffers.d_output.data(), buffers.d_x.data());
  for (size_t i = 0; i < Size(rows, features); ++i) buffers.d_x[i] += by_state[i];
  policy_.encoder().PullBack(rows, observation, buffers.d_x.data(), features, buffers.by_input,
                             gradient);
}

}  // namespace foreplan

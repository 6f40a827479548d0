#include "foreplan/models/ensembles/ensemble_tape.h"

#include <algorithm>
#include <cmath>

#include "foreplan/core/memory.h"
#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"

namespace foreplan {
namespace {

// A network's tape, if the machine can hold it.
MlpTape AffordableTape(const Ensemble& ensemble, int max_rows, int slots) {
  constexpr auto kKeep = MlpTape::Keep::kInputGradients;
  CheckMemory("imagined rollouts", MlpTape::Bytes(ensemble.mlp(), max_rows, slots, kKeep));
  return {ensemble.mlp(), ensemble.training_kernel(), max_rows, slots, kKeep};
}

int MembersPerStep(const Ensemble& ensemble) {
  return ensemble.options().propagation == Propagation::kExpectation ? ensemble.members() : 1;
}

struct NoiseSlope {
  float deviation, by_raw;
};

// v = exp(lv) = e^min + e^max q, q = sigmoid(raw - max): sqrt(v), and the noise times
// d sqrt(v)/d raw = e^max q (1 - q) / (2 sqrt(v)).
NoiseSlope PredictedDeviation(LogVarianceBounds bounds, int i, float raw, double noise) {
  const float q = Sigmoid(raw - bounds.max[i]);
  const float below_max = FastExp(bounds.max[i]) * q;
  const float deviation = std::sqrt(FastExp(bounds.min[i]) + below_max);
  return {deviation, static_cast<float>(noise) * 0.5F * below_max * (1.0F - q) / deviation};
}

}  // namespace

EnsembleTape::EnsembleTape(const Ensemble& ensemble, int max_rows, int steps)
    : ensemble_(ensemble),
      members_(MembersPerStep(ensemble)),
      network_(AffordableTape(ensemble, max_rows, steps * members_)),
      kept_(Size(steps)),
      input_(Size(max_rows, ensemble.features().inputs())),
      target_(Size(max_rows, ensemble.observation_dim())),
      d_output_(Size(max_rows, ensemble.mlp().outputs())),
      d_input_(input_.size()),
      by_input_(input_.size()),
      by_observation_(Size(ensemble.observation_dim())),
      deviation_(by_observation_.size()),
      expression_jacobian_(ensemble.features().expression_jacobian_size()) {
  for (Kept& kept : kept_) {
    kept.state.resize(target_.size());
    kept.action.resize(Size(max_rows, ensemble.action_dim()));
    if (ensemble.predicts_noise()) kept.by_raw.resize(target_.size());
  }
}

void EnsembleTape::Step(const StepBatch& batch) {
  const FeatureMap& features = ensemble_.features();
  const int no = ensemble_.observation_dim();
  rows_ = batch.rows;
  Kept& kept = kept_[Size(batch.time)];
  std::copy_n(batch.state, Size(rows_, no), kept.state.begin());
  std::copy_n(batch.action, Size(rows_, ensemble_.action_dim()), kept.action.begin());
  // An expectation has no noise, of a single member neither.
  kept.noisy =
      ensemble_.is_stochastic() && ensemble_.options().probabilistic && batch.noise != nullptr;
  kept.member = members_ == 1 ? ensemble_.MemberOf(batch) : 0;
  features.Inputs(rows_, batch.state, batch.action, ensemble_.input_normaliser(), input_.data());
  std::fill_n(target_.begin(), Size(rows_, no), 0.0);
  for (int i = 0; i < members_; ++i) {
    AddPrediction(kept.member + i, batch.time * members_ + i, batch.noise, kept);
  }
  for (int row = 0; row < rows_; ++row) {
    features.Apply(batch.state + Size(row, no), batch.action + Size(row, ensemble_.action_dim()),
                   &target_[Size(row, no)], batch.next_state + Size(row, no));
  }
  if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
    std::copy_n(batch.next_state, Size(rows_, no), batch.next_observation);
  }
}

void EnsembleTape::AddPrediction(int member, int slot, const double* noise, Kept& kept) {
  const int no = ensemble_.observation_dim();
  const int outputs = ensemble_.mlp().outputs();
  const Normaliser& normaliser = ensemble_.target_normaliser();
  const float* output = network_.Forward(ensemble_.parameters(member), slot, rows_, input_.data());
  const bool predicted = kept.noisy && ensemble_.predicts_noise();
  if (kept.noisy && !predicted) ensemble_.ConstantDeviations(member, deviation_);
  for (int row = 0; row < rows_; ++row, output += outputs) {
    for (int i = 0; i < no; ++i) {
      const size_t at = Size(row, no) + Size(i);
      double value = output[i];
      if (predicted) {
        const auto [deviation, by_raw] =
            PredictedDeviation(ensemble_.bounds(member), i, output[no + i], noise[at]);
        value += noise[at] * deviation;
        kept.by_raw[at] = by_raw;
      } else if (kept.noisy) {
        value += noise[at] * deviation_[Size(i)];
      }
      target_[at] += (normaliser.mean[Size(i)] + normaliser.scale[Size(i)] * value) / members_;
    }
  }
}

void EnsembleTape::PullBack(int time, const double* d_next_state, const double* d_next_observation,
                            double* d_state, double* d_action) {
  const FeatureMap& features = ensemble_.features();
  const Kept& kept = kept_[Size(time)];
  const int no = ensemble_.observation_dim();
  const int nu = ensemble_.action_dim();
  const int inputs = features.inputs();
  const int outputs = ensemble_.mlp().outputs();
  for (int row = 0; row < rows_; ++row) {
    float* d_output = &d_output_[Size(row, outputs)];
    for (int i = 0; i < no; ++i) {
      const size_t at = Size(row, no) + Size(i);
      const double by_target = (d_next_state[at] + d_next_observation[at]) *
                               ensemble_.target_normaliser().scale[Size(i)];
      d_output[i] = static_cast<float>(by_target / members_);
      if (outputs > no) {
        d_output[no + i] = kept.noisy ? static_cast<float>(by_target * kept.by_raw[at]) : 0.0F;
      }
    }
    for (const KnownMotion& motion : features.known()) {
      d_output[motion.component] = 0;
      if (outputs > no) d_output[no + motion.component] = 0;
    }
  }
  std::fill_n(by_input_.begin(), Size(rows_, inputs), 0.0);
  for (int i = 0; i < members_; ++i) {
    network_.PullBack(ensemble_.parameters(kept.member + i), time * members_ + i, d_output_.data(),
                      d_input_.data());
    for (size_t k = 0; k < Size(rows_, inputs); ++k) by_input_[k] += d_input_[k];
  }
  for (int row = 0; row < rows_; ++row) {
    double* by_input = &by_input_[Size(row, inputs)];
    for (int j = 0; j < inputs; ++j) by_input[j] /= ensemble_.input_normaliser().scale[Size(j)];
    features.ExpressionJacobian(&kept.state[Size(row, no)], &kept.action[Size(row, nu)],
                                expression_jacobian_.data());
    features.PullBack(&kept.state[Size(row, no)], expression_jacobian_.data(), by_input,
                      by_observation_.data(), d_action + Size(row, nu));
    // o' = o + target, for components that are not predicted as such, + dt rate
    for (const auto [component, rate] : features.integrated()) {
      const size_t at = Size(row, no) + Size(component);
      by_observation_[Size(rate)] += features.dt() * (d_next_state[at] + d_next_observation[at]);
    }
    // z' = keep z + gain u + offset
    for (const KnownMotion& motion : features.known()) {
      const size_t at = Size(row, no) + Size(motion.component);
      const double by_next = d_next_state[at] + d_next_observation[at];
      by_observation_[Size(motion.component)] += motion.keep * by_next;
      if (motion.action >= 0)
        d_action[Size(row, nu) + Size(motion.action)] += motion.gain * by_next;
    }
    for (int i = 0; i < no; ++i) {
      const size_t at = Size(row, no) + Size(i);
      d_state[at] = by_observation_[Size(i)] +
                    features.kept()[Size(i)] * (d_next_state[at] + d_next_observation[at]);
    }
  }
}

}  // namespace foreplan

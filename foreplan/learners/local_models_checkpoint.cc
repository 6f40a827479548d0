// What a run of local models goes on from.
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/local_condition.h"
#include "foreplan/learners/local_models.h"

namespace foreplan {

void LocalModelsLearner::Save(TensorFile& state) const {
  WriteSubject(context_.task, state);
  if (trainer_) {
    trainer_->ensemble()->Save(state);
    trainer_->Save(state);
  }
  if (global_) global_->Save("global_policy.", state);
  state.tensors["local_models.counters"] = {
      {4}, std::vector<int32_t>{iterations_, sampled_ ? 1 : 0, episodes_, total_steps_}};
  state.tensors["local_models.seconds"] = {
      {2}, std::vector<double>{times_.planning_seconds, times_.fitting_seconds}};
  for (const auto& condition : conditions_) condition->Save(state);
}

void LocalModelsLearner::Restore(const TensorFile& state, Dataset data) {
  CheckSubject(context_.task, state);
  const std::array<int64_t, 1> four = {4};
  const std::vector<int32_t>& counters = state.Ints("local_models.counters", four);
  CheckCounters(state, "local_models.counters");
  const std::vector<double>& seconds = FiniteDoubles(state, "local_models.seconds", 2);
  data_ = std::move(data);
  if (trainer_) {
    auto network = std::make_shared<Ensemble>(*trainer_->ensemble());
    network->Restore(state);
    trainer_->Restore(state);
    trainer_->set_ensemble(std::move(network));
  }
  if (global_) global_->Restore("global_policy.", state);
  iterations_ = counters[0];
  sampled_ = counters[1] != 0;
  episodes_ = counters[2];
  total_steps_ = counters[3];
  times_ = {seconds[0], seconds[1]};
  for (const auto& condition : conditions_) {
    condition->Restore(state, sampled_, iterations_ > 0);
  }
}

TensorFile LocalModelsLearner::Model() const {
  TensorFile file;
  for (const auto& condition : conditions_) condition->policy.Save(condition->Prefix(), file);
  if (global_) global_->Save("global_policy.", file);
  return file;
}

}  // namespace foreplan

// A learner that learns nothing, so that hundreds of runs take a second. For tests.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "foreplan/learners/learner.h"

namespace foreplan::testing {

inline constexpr int kSteps = 5;  // of an episode

/// Plays episodes whose numbers follow from their number, and saves after each.
class ScriptedLearner final : public Learner {
 public:
  using Event = std::function<void(int episode)>;

  /// `before_saving` and `after_saving` are called with the number of the episode that has ended.
  ScriptedLearner(const Task& task, const LearnerContext& context, Event before_saving,
                  Event after_saving)
      : context_(context),
        data_(task.spec().observation_dim(), task.spec().action_dim()),
        before_saving_(std::move(before_saving)),
        after_saving_(std::move(after_saving)) {}

  /// Data that were there before the run.
  void BeginWith(int64_t rows) {
    const std::vector<double> observation(static_cast<size_t>(data_.observation_dim()), 0.5);
    const std::vector<double> action(static_cast<size_t>(data_.action_dim()), 0.25);
    while (data_.size() < rows) data_.Add(observation, action, observation, 0);
  }

  bool Step() override {
    if (episodes_ == context_.run.episodes) return false;
    Play();
    before_saving_(episodes_);
    Tell(&RunObserver::OnStateComplete, *this);
    after_saving_(episodes_);
    return true;
  }
  void AddData(const Dataset& /*data*/) override { throw std::logic_error("takes none"); }

  void Save(TensorFile& state) const override {
    state.tensors["scripted.episodes"] = {{1}, std::vector<int32_t>{episodes_}};
  }
  void Restore(const TensorFile& state, Dataset data) override {
    const std::array<int64_t, 1> one = {1};
    episodes_ = state.Ints("scripted.episodes", one)[0];
    data_ = std::move(data);
  }
  [[nodiscard]] TensorFile Model() const override {
    TensorFile file;
    file.tensors["after"] = {{1}, std::vector<int32_t>{episodes_}};
    return file;
  }
  [[nodiscard]] const Dataset& data() const override { return data_; }
  Policy& controller() override { throw std::logic_error("has none"); }
  [[nodiscard]] RunTimes times() const override { return {}; }

 private:
  void Play() {
    ++episodes_;
    const auto environment = context_.task.MakeEnvironment();
    Tell(&RunObserver::OnEpisodeBegin,
         EpisodeBegin{episodes_, "scripted", *environment, episodes_ == context_.run.episodes});
    for (int step = 0; step < kSteps; ++step) {
      const std::vector<double> observation(static_cast<size_t>(data_.observation_dim()),
                                            episodes_ + 0.1 * step);
      const std::vector<double> action(static_cast<size_t>(data_.action_dim()), 0.01 * step);
      data_.Add(observation, action, observation, episodes_);
      const EpisodeStep taken{.time = step,
                              .observation = observation,
                              .action = action,
                              .next_observation = observation,
                              .state = observation,
                              .next_state = observation};
      Tell(&RunObserver::OnStep, ObservedStep{taken, episodes_, kSteps * episodes_, 0});
    }
    const int total_steps = kSteps * episodes_;
    Tell(&RunObserver::OnMetric, MetricRow{episodes_, total_steps, "fit.loss", 0.5 * episodes_});
    EpisodeRow row;
    row.episode = episodes_;
    row.controller = "scripted";
    row.steps = kSteps;
    row.total_steps = total_steps;
    row.episode_return = 0.25 * episodes_;
    Tell(&RunObserver::OnEpisodeEnd, row);
  }

  const LearnerContext context_;
  Dataset data_;
  Event before_saving_;
  Event after_saving_;
  int episodes_ = 0;
};

inline void Nothing(int /*episode*/) {}

}  // namespace foreplan::testing

// What a learner saved along a run, and whether a run can go on from each of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/learners/testing/test_run.h"

namespace foreplan {

/// The states that a run saves, with what was in its log by then. Make it before the run.
struct SavedStates {
  struct State {
    TensorFile tensors;
    Dataset data;
    size_t episodes = 0;  // logged
    size_t metrics = 0;   // logged
    long fits = 0;        // done
  };

  explicit SavedStates(TestRun& test) {
    test.checkpoint = [this, &test] { Add(test); };
  }

  void Add(const TestRun& test) {
    State state{.tensors = {},
                .data = test.learner->data(),
                .episodes = test.log.episodes().size(),
                .metrics = test.log.metrics().size(),
                .fits = test.Count("fit.seconds")};
    test.learner->Save(state.tensors);
    states.push_back(std::move(state));
  }

  std::vector<State> states;
};

/// Metrics from number `first` on, but for those of time.
inline std::vector<std::string> TimelessMetrics(const RunLog& log, size_t first) {
  std::vector<std::string> lines;
  for (size_t i = first; i < log.metrics().size(); ++i) {
    const MetricRow& row = log.metrics()[i];
    if (row.name.ends_with("seconds") || row.name.ends_with("per_second") ||
        row.name.ends_with("ms_per_decision")) {
      continue;
    }
    lines.push_back(std::to_string(row.total_steps) + " " + row.name + " " +
                    std::to_string(row.value));
  }
  return lines;
}

/// A run is saved after every episode (or round of episodes), before anything is fitted to it, and
/// once more after that. From each of these states, and from that of a run which has not begun,
/// another goes on to the same episodes, metrics and model, bit for bit.
inline void CheckEverySavedState(const RunOptions& run, const std::vector<std::string>& settings,
                                 const TestTask& task) {
  TestRun whole(run, 1, settings, task);
  SavedStates saved(whole);
  saved.Add(whole);
  whole.learner->Run();
  const size_t count = saved.states.size();
  ASSERT_GE(count, 3U);
  ASSERT_EQ(saved.states.back().episodes, whole.log.episodes().size());
  // In pairs: experience, then what was made of it.
  for (size_t i = 1; i + 1 < count; i += 2) {
    EXPECT_GT(saved.states[i].episodes, saved.states[i - 1].episodes) << i;
    EXPECT_EQ(saved.states[i + 1].episodes, saved.states[i].episodes) << i;
    EXPECT_GT(saved.states[i + 1].metrics, saved.states[i].metrics) << i;
  }
  const TensorFile model = whole.learner->Model();
  for (size_t i = 0; i < count; ++i) {
    SCOPED_TRACE("state " + std::to_string(i) + " of " + std::to_string(count));
    const SavedStates::State& state = saved.states[i];
    TestRun rest(run, 1, settings, task);
    rest.learner->Restore(state.tensors, state.data);
    rest.learner->Run();
    ASSERT_EQ(state.episodes + rest.log.episodes().size(), whole.log.episodes().size());
    for (size_t k = 0; k < rest.log.episodes().size(); ++k) {
      EXPECT_EQ(rest.log.episodes()[k].episode_return,
                whole.log.episodes()[state.episodes + k].episode_return)
          << k;
    }
    EXPECT_EQ(TimelessMetrics(rest.log, 0), TimelessMetrics(whole.log, state.metrics));
    const TensorFile other = rest.learner->Model();
    ASSERT_EQ(other.tensors.size(), model.tensors.size());
    for (const auto& [name, tensor] : model.tensors) {
      EXPECT_EQ(other.tensors.at(name).values, tensor.values) << name;
    }
  }
}

}  // namespace foreplan

// A learner of one's own: random search over the gains of a linear policy. Once it is registered,
// runs may name it: their folders are written, reported and resumed like all others.
#include <fmt/core.h>

#include <filesystem>
#include <numeric>

#include "foreplan/foreplan.h"

struct LinearPolicy final : foreplan::Policy {  // u = K o, which episodes clamp to the bounds
  void Act(const foreplan::Situation& now, std::span<double> action) override {
    action[0] = std::inner_product(gains.begin(), gains.end(), now.observation.begin(), 0.0);
  }
  std::vector<double> gains = {0, 0};  // K
};

/// EpisodeLearner plays, counts and keeps episodes; ModelLearner brings a model and plans as well.
class RandomSearch final : public foreplan::EpisodeLearner {
 public:
  using EpisodeLearner::EpisodeLearner;
  bool Step() override {
    if (Done()) return false;
    LinearPolicy trial = policy_;
    foreplan::Random random(EpisodeKey().Fold(100));  // the same in a run that is resumed
    for (double& gain : trial.gains) gain += 0.1 * random.Normal();
    const double kept = PlayEpisode("kept", policy_).episode_return;
    if (PlayEpisode("tried", trial).episode_return > kept) policy_ = trial;
    Checkpoint();  // from here a run can go on
    return true;
  }
  void Save(foreplan::TensorFile& state) const override {  // what the next step depends on
    EpisodeLearner::Save(state);
    state.tensors["search.gains"] = {{2}, policy_.gains};
  }
  void Restore(const foreplan::TensorFile& state, foreplan::Dataset data) override {
    EpisodeLearner::Restore(state, std::move(data));
    policy_.gains = state.Doubles("search.gains", std::vector<int64_t>{2});
  }
  foreplan::Policy& controller() override { return policy_; }

 private:
  LinearPolicy policy_;
};

int main() {
  foreplan::RegisterLearner("random_search", foreplan::LearnerEntryOf<RandomSearch>());
  std::filesystem::remove_all("own_learner_run");
  double gained = 0;
  for (const int episodes : {40, 80}) {  // the second time it goes on where it ended
    foreplan::RunSession session(foreplan::LoadExperiment(
        "lane_keeping", {.algorithm = "random_search", .episodes = episodes}));
    session.CreateOrResume("own_learner_run");
    session.Run();
    const auto& rows = session.log().episodes();
    gained = rows.rbegin()[1].episode_return - rows[0].episode_return;  // of the policies kept
    fmt::print("{} episodes: return up by {:.1f}\n", rows.size(), gained);
  }
  return gained > 50 ? 0 : 1;
}

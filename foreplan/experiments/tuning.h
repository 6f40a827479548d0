// A search for the settings of a planner: which of its options, within which ranges, and how.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/random.h"

namespace foreplan {

/// An option and where good values may lie.
struct TunableOption {
  std::string key;  // "elite_share" stands for elites / population
  double low = 0;
  double high = 0;
  bool logarithmic = false;  // else linear
  bool whole = false;
  std::vector<std::string> choices = {};  // by index, instead of a range

  /// As it stands in a configuration.
  [[nodiscard]] std::string Text(double value) const;
};

/// Settings and what they earned.
struct TuningCandidate {
  std::vector<double> values;   // of the options, in their order; a choice by its index
  std::vector<double> returns;  // of episodes 0, 1, ...; -infinity for one that failed

  [[nodiscard]] double Mean() const;
};

/// The options of one planner. The population is no option: it follows from the others so that all
/// candidates imagine as many steps per decision, as more is always better and only slower.
class TuningSpace {
 public:
  /// `config` says which settings are in effect. Throws InputError for a planner without tunable
  /// options, with those that have some.
  TuningSpace(const std::string& planner, Config& config);

  [[nodiscard]] std::span<const TunableOption> options() const { return options_; }
  /// The settings in effect,
  [[nodiscard]] const TuningCandidate& own() const { return own_; }
  /// and how many steps they imagine per decision (of one particle).
  [[nodiscard]] double own_effort() const;

  /// Draws values whose population for `effort` is at least kMinPopulation. Throws InputError when
  /// that is too little for nearly all of them.
  [[nodiscard]] TuningCandidate Draw(double effort, Random& random) const;

  /// "planner.icem.horizon=20", ...: what sets these values in a configuration.
  [[nodiscard]] std::vector<std::string> Assignments(const TuningCandidate& candidate,
                                                     double effort) const;

  static constexpr int kMinPopulation = 8;

 private:
  [[nodiscard]] double ValueOf(const TuningCandidate& candidate, const std::string& key) const;
  /// Populations imagined per decision, times the horizon.
  [[nodiscard]] double StepsPerCandidate(const TuningCandidate& candidate) const;
  [[nodiscard]] int Population(const TuningCandidate& candidate, double effort) const;

  std::string planner_;
  std::vector<TunableOption> options_;
  TuningCandidate own_;
  double own_effort_ = 0;
  double decay_ = 1;  // of the population from iteration to iteration
};

/// Successive halving (Jamieson & Talwalkar 2016): all candidates play an episode, the better half
/// plays again as many as it has, and so on until one remains; candidate 0, the settings to beat,
/// plays along to the end. `play` returns the returns of episodes first ... first + count - 1 of a
/// candidate; `finish_round` is told the candidates of every round. The winner's index; equal
/// means count for the first.
int RunSuccessiveHalving(
    std::vector<TuningCandidate>& candidates,
    const std::function<std::vector<double>(int candidate, int first, int count)>& play,
    const std::function<void(std::span<const int> candidates, int episodes)>& finish_round);

/// Episodes that successive halving plays of so many candidates, in all.
int EpisodesOfHalving(int count);

/// Most candidates for which successive halving takes at most `budget` episodes in all.
int CandidatesWithin(int budget);

/// Spearman's rank correlation, equal numbers sharing their mean rank; 0 where one does not vary.
double RankCorrelation(std::span<const double> a, std::span<const double> b);

}  // namespace foreplan

#include "foreplan/experiments/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/planners/planner.h"

namespace foreplan {
namespace {

constexpr const char* kEliteShare = "elite_share";

struct Tunable {
  std::string planner;
  std::vector<TunableOption> options;
};

// One entry per planner. Ranges are what published settings and the shipped tasks span.
const std::vector<Tunable>& Tunables() {
  static const TunableOption kHorizon{"horizon", 8, 60, true, true};
  static const std::vector<Tunable> kTunables = {
      {"random_shooting", {kHorizon}},
      {"cem",
       {kHorizon,
        {"iterations", 2, 8, true, true},
        {kEliteShare, 0.05, 0.4, true},
        {"momentum", 0, 0.5}}},
      {"icem",
       {kHorizon,
        {"iterations", 1, 6, true, true},
        {kEliteShare, 0.05, 0.4, true},
        {"sigma0", 0.05, 1, true},
        {"noise_beta", 0, 4},
        {"keep_fraction", 0, 0.6},
        {"momentum", 0, 0.5},
        {.key = "execute", .choices = {"mean", "best"}}}},
      {"mppi",
       {kHorizon,
        {"iterations", 1, 4, true, true},
        {"lambda", 0.01, 10, true},
        {"noise_sigma", 0.1, 1, true},
        {"noise_beta", 0, 4}}},
  };
  return kTunables;
}

/// Values of a planner's section as it is in effect.
struct EffectiveValues {
  const std::vector<TunableOption>& options;
  std::vector<double> numbers;
  std::vector<std::string> words;
  double population = 0;
  double elites = 0;
  double decay = 1;

  void Visit(OptionsVisitor& visitor) {
    for (size_t i = 0; i < options.size(); ++i) {
      if (options[i].choices.empty()) {
        visitor.Field(options[i].key, numbers[i], {}, "");
      } else {
        visitor.Field(options[i].key, words[i], "");
      }
    }
    visitor.Field("population", population, {}, "");
    visitor.Field("elites", elites, {}, "");
    visitor.Field("decay", decay, {}, "");
  }
};

EffectiveValues ReadEffective(const std::string& planner, const std::vector<TunableOption>& options,
                              Config& config) {
  ConfigWriter writer;
  WritePlannerOptions(planner, config, writer);
  EffectiveValues values{options, std::vector<double>(options.size()),
                         std::vector<std::string>(options.size())};
  Config::FromString(writer.text(), "planner").Read("planner." + planner, values);
  for (size_t i = 0; i < options.size(); ++i) {
    if (options[i].key == "horizon") values.numbers[i] = PlannerHorizon(planner, config);
  }
  return values;
}

std::vector<double> Ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (size_t i = first; i < last; ++i) {
      ranks[order[i]] = 0.5 * static_cast<double>(first + last - 1);
    }
    first = last;
  }
  return ranks;
}

// Half of the candidates plays on, the best first. Number 0 always does.
std::vector<int> BetterHalf(const std::vector<TuningCandidate>& candidates,
                            std::vector<int> playing) {
  std::stable_sort(playing.begin(), playing.end(), [&](int a, int b) {
    return candidates[static_cast<size_t>(a)].Mean() > candidates[static_cast<size_t>(b)].Mean();
  });
  playing.resize((playing.size() + 1) / 2);
  if (std::find(playing.begin(), playing.end(), 0) == playing.end()) playing.back() = 0;
  return playing;
}

// The best of those that played most.
int Winner(const std::vector<TuningCandidate>& candidates) {
  const auto is_worse = [](const TuningCandidate& a, const TuningCandidate& b) {
    if (a.returns.size() != b.returns.size()) return a.returns.size() < b.returns.size();
    return a.Mean() < b.Mean();
  };
  return static_cast<int>(std::max_element(candidates.begin(), candidates.end(), is_worse) -
                          candidates.begin());
}

}  // namespace

std::string TunableOption::Text(double value) const {
  if (!choices.empty()) return choices[static_cast<size_t>(value)];
  return whole ? fmt::format("{}", static_cast<int>(value)) : fmt::format("{:.3g}", value);
}

double TuningCandidate::Mean() const {
  return std::accumulate(returns.begin(), returns.end(), 0.0) / static_cast<double>(returns.size());
}

TuningSpace::TuningSpace(const std::string& planner, Config& config) : planner_(planner) {
  std::vector<std::string> known;
  for (const Tunable& tunable : Tunables()) {
    known.push_back(tunable.planner);
    if (tunable.planner == planner) options_ = tunable.options;
  }
  if (options_.empty()) throw UnknownName("tune", "planner to tune", planner, known);
  const EffectiveValues values = ReadEffective(planner, options_, config);
  own_.values = values.numbers;
  for (size_t i = 0; i < options_.size(); ++i) {
    const std::vector<std::string>& choices = options_[i].choices;
    if (options_[i].key == kEliteShare) own_.values[i] = values.elites / values.population;
    if (choices.empty()) continue;
    own_.values[i] = static_cast<double>(
        std::find(choices.begin(), choices.end(), values.words[i]) - choices.begin());
  }
  decay_ = values.decay;
  own_effort_ = values.population * StepsPerCandidate(own_);
}

double TuningSpace::own_effort() const { return own_effort_; }

TuningCandidate TuningSpace::Draw(double effort, Random& random) const {
  constexpr int kTries = 1000;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    TuningCandidate candidate;
    for (const TunableOption& option : options_) {
      const bool choice = !option.choices.empty();
      const double low = choice ? 0 : option.low - (option.whole ? 0.5 : 0);
      const double high = choice ? static_cast<double>(option.choices.size())
                                 : option.high + (option.whole ? 0.5 : 0);
      double value = option.logarithmic ? std::exp(random.Uniform(std::log(low), std::log(high)))
                                        : random.Uniform(low, high);
      if (option.whole) value = std::clamp(std::round(value), option.low, option.high);
      if (choice) value = std::min(std::floor(value), high - 1);
      candidate.values.push_back(value);
    }
    if (Population(candidate, effort) >= kMinPopulation) return candidate;
  }
  throw InputError(
      fmt::format("tune: effort: found {} imagined steps per decision, expected enough "
                  "for {} candidates",
                  effort, kMinPopulation));
}

std::vector<std::string> TuningSpace::Assignments(const TuningCandidate& candidate,
                                                  double effort) const {
  const int population = Population(candidate, effort);
  const std::string section = "planner." + planner_ + ".";
  std::vector<std::string> assignments{fmt::format("{}population={}", section, population)};
  for (size_t i = 0; i < options_.size(); ++i) {
    if (options_[i].key == kEliteShare) {
      const int elites =
          std::max(2, static_cast<int>(std::round(candidate.values[i] * population)));
      assignments.push_back(fmt::format("{}elites={}", section, elites));
    } else {
      assignments.push_back(
          fmt::format("{}{}={}", section, options_[i].key, options_[i].Text(candidate.values[i])));
    }
  }
  return assignments;
}

double TuningSpace::ValueOf(const TuningCandidate& candidate, const std::string& key) const {
  for (size_t i = 0; i < options_.size(); ++i) {
    if (options_[i].key == key) return candidate.values[i];
  }
  return 1;
}

double TuningSpace::StepsPerCandidate(const TuningCandidate& candidate) const {
  // horizon * sum_i decay^-i
  const auto iterations = static_cast<int>(ValueOf(candidate, "iterations"));
  double rounds = 0;
  for (int i = 0; i < iterations; ++i) rounds += std::pow(decay_, -i);
  return rounds * ValueOf(candidate, "horizon");
}

int TuningSpace::Population(const TuningCandidate& candidate, double effort) const {
  constexpr double kRounding = 1e-9;
  return static_cast<int>(effort / StepsPerCandidate(candidate) * (1 + kRounding));
}

int RunSuccessiveHalving(
    std::vector<TuningCandidate>& candidates,
    const std::function<std::vector<double>(int candidate, int first, int count)>& play,
    const std::function<void(std::span<const int> candidates, int episodes)>& finish_round) {
  std::vector<int> playing(candidates.size());
  std::iota(playing.begin(), playing.end(), 0);
  for (int episodes = 1;; episodes *= 2) {
    for (const int candidate : playing) {
      std::vector<double>& returns = candidates[static_cast<size_t>(candidate)].returns;
      const auto played = static_cast<int>(returns.size());
      const std::vector<double> more = play(candidate, played, episodes - played);
      returns.insert(returns.end(), more.begin(), more.end());
    }
    finish_round(playing, episodes);
    if (playing.size() <= 2) return Winner(candidates);
    playing = BetterHalf(candidates, playing);
  }
}

int EpisodesOfHalving(int count) {
  int episodes = count;
  for (int played = 1; count > 2; played *= 2) {
    count = (count + 1) / 2;
    episodes += count * played;
  }
  return episodes;
}

int CandidatesWithin(int budget) {
  int count = 2;
  while (EpisodesOfHalving(count + 1) <= budget) ++count;
  return count;
}

double RankCorrelation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = Ranks(a);
  const std::vector<double> y = Ranks(b);
  const double mean = 0.5 * (static_cast<double>(x.size()) - 1);
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
    xy += (x[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0.0;
}

}  // namespace foreplan

// Which member predicts a row, and with which noise.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/imagination.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::SmallOptions;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;

// Predicted next states of `rows` equal start rows.
std::vector<double> StepRows(const Ensemble& model, StepBatch batch, int rows) {
  std::vector<double> states;
  std::vector<double> actions;
  for (int row = 0; row < rows; ++row) {
    states.insert(states.end(), {0.3, 1.2, 0.7});
    actions.push_back(0.4);
  }
  std::vector<double> next(states.size());
  batch.rows = rows;
  batch.state = states.data();
  batch.action = actions.data();
  batch.next_state = next.data();
  const auto workspace = model.MakeWorkspace(rows);
  model.Step(batch, *workspace);
  return next;
}

// Without noise a value reveals its member.
EnsembleOptions Deterministic(Propagation propagation) {
  EnsembleOptions options = SmallOptions();
  options.probabilistic = false;
  options.propagation = propagation;
  return options;
}

TEST(Propagation, CandidatesShareTheMemberAndTheNoiseAndParticlesDiffer) {
  const Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 10;
  std::set<double> first_components;
  for (batch.particle = 0; batch.particle < 10; ++batch.particle) {
    const std::vector<double> next = StepRows(model, batch, 3);
    EXPECT_EQ(next[0], next[3]);
    EXPECT_EQ(next[0], next[6]);
    first_components.insert(next[0]);
  }
  EXPECT_EQ(first_components.size(), 10u);  // by member or, of one member, by noise
}

TEST(Propagation, TsInfKeepsTheMemberOfAParticleOverTheRollout) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTsInf), Key{1, 1});
  for (const int particles : {1, 3, 5, 7, 10}) {
    for (uint64_t evaluation = 0; evaluation < 5; ++evaluation) {
      StepBatch batch;
      batch.key = Key{2, evaluation};
      batch.particles = particles;
      for (batch.particle = 0; batch.particle < particles; ++batch.particle) {
        batch.time = 0;
        const std::vector<double> first = StepRows(model, batch, 1);
        for (batch.time = 1; batch.time < 8; ++batch.time) {
          EXPECT_EQ(StepRows(model, batch, 1), first) << particles << " " << batch.time;
        }
      }
    }
  }
}

// How often each member predicted a particle, over evaluations and times; and that at no time one
// did so more than `most_apart` times more often than another.
std::vector<int> TimesDrawn(const Ensemble& model, int particles, int evaluations, int times,
                            int most_apart = 1) {
  std::vector<int> count(static_cast<size_t>(model.members()));
  for (int evaluation = 0; evaluation < evaluations; ++evaluation) {
    StepBatch batch;
    batch.key = Key{3, static_cast<uint64_t>(evaluation)};
    batch.particles = particles;
    for (batch.time = 0; batch.time < times; ++batch.time) {
      std::vector<int> now(count.size());
      for (batch.particle = 0; batch.particle < particles; ++batch.particle) {
        ++now[static_cast<size_t>(model.MemberOf(batch))];
      }
      for (size_t k = 0; k < count.size(); ++k) count[k] += now[k];
      EXPECT_LE(std::ranges::max(now) - std::ranges::min(now), most_apart);
    }
  }
  return count;
}

TEST(Propagation, EveryMemberIsDrawnAlikeHoweverFewParticles) {
  for (const Propagation propagation : {Propagation::kTsInf, Propagation::kTs1}) {
    const Ensemble model(ToySpec(), kEncoding, Deterministic(propagation), Key{1, 1});
    for (const int particles : {1, 2, 3, 4, 7}) {
      // TS1 deals 7 of the 10 places that two decks of members have.
      const int most_apart = propagation == Propagation::kTs1 && particles > 5 ? 2 : 1;
      const std::vector<int> count = TimesDrawn(model, particles, 1000, 1, most_apart);
      for (const int times : count) {
        // 1000 draws, whose members deviate by less than sqrt(1000 p (1 - p)) <= 16 each; five.
        EXPECT_NEAR(times, 1000.0 * particles / 5, 80) << particles;
      }
    }
    for (const int particles : {5, 10, 20}) {  // evenly, in every evaluation
      EXPECT_EQ(TimesDrawn(model, particles, 1, 1), std::vector<int>(5, particles / 5));
    }
  }
}

TEST(Propagation, Ts1DrawsAnewAtEachStepAlsoWithOneParticle) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTs1), Key{1, 1});
  for (const int times : TimesDrawn(model, 1, 1, 1000)) EXPECT_NEAR(times, 200, 80);
}

TEST(Propagation, MoreParticlesThanPlacesStillHaveAllMembers) {
  EnsembleOptions options = Deterministic(Propagation::kTs1);
  options.members = 7;
  options.width = 2;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  for (const int times : TimesDrawn(model, 3000, 1, 1, 60)) EXPECT_NEAR(times, 3000.0 / 7, 60);
}

TEST(Propagation, FewParticlesAreEqualBitForBitOnAnyNumberOfThreads) {
  const EnvironmentSpec spec = testing::DoubleIntegratorSpec(1);
  const testing::QuadraticReward reward;
  const std::vector<double> start = {0.4, -0.2};
  std::vector<double> actions(40 * 6);
  Random(Key{9, 1}).FillNormal(actions);
  for (const Propagation propagation : {Propagation::kTsInf, Propagation::kTs1}) {
    EnsembleOptions options = SmallOptions();
    options.propagation = propagation;
    const Ensemble model(spec, {}, options, Key{1, 1});
    std::vector<std::vector<double>> returns;
    for (const int threads : {1, 2, 5}) {
      ThreadPool executor(threads);
      Imagination imagination(testing::Borrowed(model), testing::Borrowed(reward),
                              {.horizon = 6, .max_candidates = 40, .particles = 3},
                              testing::Borrowed(executor));
      returns.emplace_back(40);
      imagination.Evaluate(start, actions, Key{4, 1}, returns.back());
    }
    EXPECT_EQ(returns[0], returns[1]);
    EXPECT_EQ(returns[0], returns[2]);
  }
}

TEST(Propagation, NoiseIsAnotherAtEveryStepAndForEveryParticle) {
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 4;
  std::set<double> of_component[3];
  for (batch.particle = 0; batch.particle < 4; ++batch.particle) {
    for (batch.time = 0; batch.time < 6; ++batch.time) {
      const std::vector<double> next = StepRows(model, batch, 1);
      for (size_t i = 0; i < 3; ++i) of_component[i].insert(next[i]);
    }
  }
  for (const auto& values : of_component) EXPECT_EQ(values.size(), 24u);
}

TEST(Propagation, NoiseIsStandardNormalInPredictedDeviationsWhateverTheTargetsScale) {
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  model.target_normaliser().mean = {0.3, -1, 0};
  model.target_normaliser().scale = {1e-3, 1, 50};
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  double mean[3];
  double deviation[3];
  const auto workspace = model.MakeWorkspace(1);
  model.PredictTarget(0, 1, x, &u, mean, deviation, *workspace);
  StepBatch batch;
  const int draws = 2000;
  double sum[3] = {};
  double squares[3] = {};
  for (int draw = 0; draw < draws; ++draw) {
    batch.key = Key{7, static_cast<uint64_t>(draw)};
    const std::vector<double> next = StepRows(model, batch, 1);
    for (size_t i = 0; i < 3; ++i) {
      const double z = (next[i] - x[i] - mean[i]) / deviation[i];
      sum[i] += z / draws;
      squares[i] += z * z / draws;
    }
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(sum[i], 0, 0.12) << i;      // sqrt(1 / 2000) = 0.022
    EXPECT_NEAR(squares[i], 1, 0.17) << i;  // sqrt(2 / 2000) = 0.032
  }
}

TEST(Propagation, Ts1DealsMembersOutEvenlyAndAnewAtEachStep) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTs1), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 10;
  std::set<std::vector<double>> orders;
  for (batch.time = 0; batch.time < 5; ++batch.time) {
    std::vector<double> values;
    for (batch.particle = 0; batch.particle < 10; ++batch.particle) {
      values.push_back(StepRows(model, batch, 1)[0]);
    }
    for (const double value : values) EXPECT_EQ(std::ranges::count(values, value), 2);
    orders.insert(values);
  }
  EXPECT_GT(orders.size(), 1u);
}

TEST(Propagation, ExpectationIsTheMeanOfTheMembers) {
  EnsembleOptions options = SmallOptions();
  options.propagation = Propagation::kExpectation;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  EXPECT_FALSE(model.is_stochastic());
  const auto workspace = model.MakeWorkspace(1);
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  double mean[3];
  double deviation[3];
  double expected = 0;
  for (int member = 0; member < 5; ++member) {
    model.PredictTarget(member, 1, x, &u, mean, deviation, *workspace);
    expected += mean[0] / 5;
  }
  EXPECT_NEAR(StepRows(model, {}, 1)[0], 0.3 + expected, 1e-12);  // order of a sum of five
}

TEST(Propagation, Ts1PairsEveryParticleWithEveryMemberAlike) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTs1), Key{1, 1});
  for (const int particles : {5, 20}) {
    const int steps = 2000;
    // Every step deals out evenly, which TimesDrawn looks at.
    EXPECT_EQ(TimesDrawn(model, particles, 1, steps), std::vector<int>(5, steps * particles / 5));
    std::map<std::pair<int, int>, int> pairs;  // of particle and member
    StepBatch batch;
    batch.key = Key{3, 0};
    batch.particles = particles;
    for (batch.time = 0; batch.time < steps; ++batch.time) {
      for (batch.particle = 0; batch.particle < particles; ++batch.particle) {
        ++pairs[{batch.particle, model.MemberOf(batch)}];
      }
    }
    // 2000 draws of probability 1/5 deviate by sqrt(2000 / 5 * 4 / 5) = 18; five of these.
    for (const auto& [pair, times] : pairs) EXPECT_NEAR(times, steps / 5.0, 90) << pair.first;
    EXPECT_EQ(pairs.size(), static_cast<size_t>(5 * particles));
  }
}

std::vector<double> Normals(size_t count, uint64_t stream) {
  std::vector<double> values(count);
  Random(Key{6, stream}).FillNormal(values);
  return values;
}

TEST(RowNoise, IsItsRowsAlone) {
  const Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 5;
  std::vector<double> noise = Normals(9, 1);
  batch.noise = noise.data();
  const std::vector<double> next = StepRows(model, batch, 3);  // of equal rows
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NE(next[i], next[3 + i]);
    EXPECT_NE(next[i], next[6 + i]);
  }
  noise[3] += 1;
  const std::vector<double> other = StepRows(model, batch, 3);
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(other[i] != next[i], i == 3) << i;
  batch.key = Key{1, 4};  // draws no noise, and TS-infinity with a particle per member no member
  EXPECT_EQ(StepRows(model, batch, 3), other);
}

TEST(RowNoise, IsInPredictedDeviationsWhateverTheTargetsScale) {
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  model.target_normaliser().mean = {0.3, -1, 0};
  model.target_normaliser().scale = {1e-3, 1, 50};
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  const std::vector<double> noise = Normals(6, 2);
  StepBatch batch;
  batch.particles = 5;
  batch.particle = 3;
  batch.noise = noise.data();
  const std::vector<double> next = StepRows(model, batch, 2);
  double mean[3];
  double deviation[3];
  const auto workspace = model.MakeWorkspace(1);
  model.PredictTarget(3, 1, x, &u, mean, deviation, *workspace);
  for (size_t i = 0; i < 6; ++i) {
    const double expected = x[i % 3] + mean[i % 3] + deviation[i % 3] * noise[i];
    // Kernels of one and of two rows sum floats in another order.
    EXPECT_NEAR(next[i], expected, 1e-5 * (1 + std::abs(expected))) << i;
  }
}

TEST(RowNoise, WithoutItTheStepIsThatOfTheKeysNoiseForAllRows) {
  const Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 5;
  const std::vector<double> shared = StepRows(model, batch, 3);
  EXPECT_EQ(std::vector<double>(shared.begin(), shared.begin() + 3),
            std::vector<double>(shared.begin() + 3, shared.begin() + 6));
  const std::vector<double> zero(9);
  batch.noise = zero.data();
  EXPECT_NE(StepRows(model, batch, 3), shared);
}

TEST(RowNoise, StepsAndTapesTakeTheSame) {
  const EnsembleOptions small = SmallOptions();
  EnsembleOptions ts_1 = small;
  ts_1.propagation = Propagation::kTs1;
  EnsembleOptions constant = ts_1;
  constant.noise = MemberNoise::kConstant;
  EnsembleOptions normed = ts_1;
  normed.layer_norm = true;
  EnsembleOptions expectation = small;
  expectation.propagation = Propagation::kExpectation;
  for (const EnsembleOptions& options : {small, ts_1, constant, normed, expectation}) {
    const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
    const int rows = 7;
    const auto workspace = model.MakeWorkspace(rows);
    const auto tape = model.MakeTape(rows, 4);
    std::vector<double> state = Normals(3 * rows, 3);
    const std::vector<double> action = Normals(rows, 4);
    std::vector<double> next(state.size());
    std::vector<double> by_tape(state.size());
    for (int time = 0; time < 4; ++time) {
      const std::vector<double> noise = Normals(3 * rows, 5 + static_cast<uint64_t>(time));
      StepBatch batch{.rows = rows,
                      .state = state.data(),
                      .action = action.data(),
                      .next_state = next.data(),
                      .particle = 2,
                      .particles = 5,
                      .time = time,
                      .key = Key{8, 1},
                      .noise = noise.data()};
      model.Step(batch, *workspace);
      batch.next_state = by_tape.data();
      tape->Step(batch);
      // Float sums of 32 terms in another order.
      for (size_t i = 0; i < next.size(); ++i) EXPECT_NEAR(next[i], by_tape[i], 1e-5) << i;
      state = next;
    }
  }
}

}  // namespace
}  // namespace foreplan

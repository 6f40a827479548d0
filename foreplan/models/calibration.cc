#include "foreplan/models/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <numeric>
#include <span>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/models/change_statistics.h"

namespace foreplan {
namespace {

constexpr int64_t kMostRows = 5000;  // of either half that one-step numbers are taken from
constexpr int64_t kRowsPerTask = 64;

/// Up to `most` of `count` rows, evenly spread.
std::vector<int64_t> Spread(int64_t count, int64_t most) {
  std::vector<int64_t> rows(static_cast<size_t>(std::min(count, most)));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<int64_t>(i) * count / std::ssize(rows);
  }
  return rows;
}

double NormalCdf(double error, double deviation) {
  if (!(deviation > 0)) return error > 0 ? 1 : error < 0 ? 0 : 0.5;
  return 0.5 * std::erfc(-error / deviation * std::numbers::sqrt2 / 2);
}

/// Value below which that share lies.
double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto place = static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + place);
  return values[static_cast<size_t>(place)];
}

/// Ranks from 0; equal values share the mean of theirs.
std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (size_t i = first; i <= last; ++i) {
      ranks[order[i]] = 0.5 * static_cast<double>(first + last);
    }
    first = last + 1;
  }
  return ranks;
}

/// Spearman's: the correlation of ranks; 0 when one of them is constant.
double RankCorrelation(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = Ranks(a);
  const std::vector<double> y = Ranks(b);
  const double mean = 0.5 * static_cast<double>(x.size() - 1);
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

/// The change of components that have no scale, which is the same in every step; exactly 0 where it
/// is but rounding.
std::vector<double> SteadyChange(const Dataset& data, const LearnedModel& model) {
  ColumnStatistics changes = MeasureChanges(data, model.difference());
  const std::span<const double> scale = model.scale();
  for (size_t i = 0; i < scale.size(); ++i) {
    if (scale[i] != 0 || std::abs(changes.mean[i]) <= changes.rounding[i]) changes.mean[i] = 0;
  }
  return changes.mean;
}

/// What one worker predicts with.
struct Forecaster {
  explicit Forecaster(const LearnedModel& model, int particles)
      : workspace(model.MakePredictionWorkspace(1)),
        no(static_cast<size_t>(model.snapshot()->observation_dim())),
        state(static_cast<size_t>(particles) * no),
        mean(state.size()),
        deviation(state.size()) {}

  std::unique_ptr<Dynamics::Workspace> workspace;
  size_t no;
  std::vector<double> state, mean, deviation;  // [particles x no]
};

/// One start, one horizon.
struct StretchError {
  std::vector<double> squares, persistence, epistemic;  // [no]
  std::vector<std::array<bool, kCalibrationLevels.size()>> covered;
};

/// Of the members' predictions of single rows.
struct RowErrors {
  std::vector<double> member_squares;  // [rows x members], mean over components, in scale
  std::vector<double> member_nll;      // [rows x members], mean over components
  std::vector<double> nll;             // [rows], of the mixture
  std::vector<double> squares;         // [rows], of the mean of the members
  std::vector<double> novelty;         // [rows]
};

class Calibrator {
 public:
  Calibrator(const LearnedModel& model, const DataSplit& split, const CalibrationOptions& options,
             Key key, Executor& executor, const FitControl& control)
      : model_(model),
        split_(split),
        options_(options),
        key_(key),
        executor_(executor),
        control_(control),
        no_(static_cast<size_t>(model.snapshot()->observation_dim())),
        members_(static_cast<size_t>(model.members())),
        particles_(std::max(options.particles / model.members(), 1) * model.members()) {
    for (int worker = 0; worker < executor.size(); ++worker) {
      forecasters_.emplace_back(model, particles_);
    }
  }

  Calibration Run() {
    Calibration result;
    result.training_rows = split_.training.size();
    result.holdout_rows = split_.holdout.size();
    result.scale.assign(model_.scale().begin(), model_.scale().end());
    result.steady_change = SteadyChange(split_.training, model_);
    const RowErrors training = JudgeRows(split_.training);
    const RowErrors holdout = JudgeRows(split_.holdout);
    FillSteps(training, holdout, result);
    FillHorizons(result);
    return result;
  }

 private:
  [[nodiscard]] RowErrors JudgeRows(const Dataset& data);
  void JudgeRow(const Dataset& data, int64_t row, size_t place, Forecaster& f,
                RowErrors& out) const;
  void FillSteps(const RowErrors& training, const RowErrors& holdout, Calibration& result) const;
  /// Steps recorded from `row` on without a break, at most the horizon.
  [[nodiscard]] int Reach(int64_t row) const;
  std::vector<StretchError> JudgeStretch(int64_t row, Forecaster& f) const;
  [[nodiscard]] StretchError Compare(int64_t row, int step, const Forecaster& f) const;
  void FillHorizons(Calibration& result);

  const LearnedModel& model_;
  const DataSplit& split_;
  const CalibrationOptions& options_;
  Key key_;
  Executor& executor_;
  const FitControl& control_;
  size_t no_;
  size_t members_;
  int particles_;  // a multiple of the members; particle i follows member i % members
  std::vector<Forecaster> forecasters_;  // [workers]
};

void Calibrator::JudgeRow(const Dataset& data, int64_t row, size_t place, Forecaster& f,
                          RowErrors& out) const {
  const std::span<const double> observation = data.observation(row);
  const std::span<const double> next = data.next_observation(row);
  for (size_t k = 0; k < members_; ++k) {
    model_.Predict(static_cast<int>(k), 1, observation.data(), data.action(row).data(),
                   &f.mean[k * no_], &f.deviation[k * no_], *f.workspace);
  }
  double components = 0;
  for (size_t i = 0; i < no_; ++i) {
    const double scale = model_.scale()[i];
    if (scale == 0) continue;
    ++components;
    double mean = 0;
    double variance = 0;
    std::vector<double> log_density(members_);
    for (size_t k = 0; k < members_; ++k) {
      const double change = model_.difference()(i, f.mean[k * no_ + i], observation[i]);
      mean += change / static_cast<double>(members_);
      variance += change * change / static_cast<double>(members_);
      const double error = model_.difference()(i, next[i], f.mean[k * no_ + i]);
      const double z = error / f.deviation[k * no_ + i];
      // -log N(y; mu, s) = z^2 / 2 + log s + log(2 pi) / 2
      log_density[k] =
          -0.5 * z * z - std::log(f.deviation[k * no_ + i]) - 0.5 * std::log(2 * std::numbers::pi);
      out.member_squares[place * members_ + k] += error * error / (scale * scale);
      out.member_nll[place * members_ + k] -= log_density[k];
    }
    variance = MaxOrNan(0.0, variance - mean * mean);
    const double error = model_.difference().Wrapped(i, next[i] - observation[i] - mean);
    out.squares[place] += error * error / (scale * scale);
    out.novelty[place] += variance / (scale * scale);
    const double largest = *std::ranges::max_element(log_density);
    double sum = 0;
    for (const double value : log_density) sum += std::exp(value - largest);
    out.nll[place] -= largest + std::log(sum / static_cast<double>(members_));
  }
  const double share = components > 0 ? 1 / components : 0;
  for (size_t k = 0; k < members_; ++k) {
    out.member_squares[place * members_ + k] *= share;
    out.member_nll[place * members_ + k] *= share;
  }
  out.squares[place] *= share;
  out.nll[place] *= share;
  out.novelty[place] = std::sqrt(out.novelty[place] * share);
  // What cannot be predicted is as new and as wrong as can be; a NaN would have no rank.
  for (double* number : {&out.novelty[place], &out.squares[place]}) {
    if (std::isnan(*number)) *number = std::numeric_limits<double>::infinity();
  }
}

RowErrors Calibrator::JudgeRows(const Dataset& data) {
  const std::vector<int64_t> rows = Spread(data.size(), kMostRows);
  RowErrors out;
  out.member_squares.resize(rows.size() * members_);
  out.member_nll.resize(rows.size() * members_);
  for (auto* column : {&out.nll, &out.squares, &out.novelty}) column->resize(rows.size());
  const int64_t tasks = (std::ssize(rows) + kRowsPerTask - 1) / kRowsPerTask;
  executor_.ParallelFor(static_cast<int>(tasks), [&](int task, int worker) {
    if (control_.stop.stop_requested()) return;
    const auto first = static_cast<size_t>(task * kRowsPerTask);
    const size_t last = std::min(rows.size(), first + static_cast<size_t>(kRowsPerTask));
    for (size_t place = first; place < last; ++place) {
      JudgeRow(data, rows[place], place, forecasters_[static_cast<size_t>(worker)], out);
    }
  });
  control_.ThrowIfStopped();
  return out;
}

void Calibrator::FillSteps(const RowErrors& training, const RowErrors& holdout,
                           Calibration& result) const {
  const size_t rows = holdout.nll.size();
  const auto count = static_cast<double>(rows);
  result.members.resize(members_);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t k = 0; k < members_; ++k) {
      result.members[k].rmse += holdout.member_squares[row * members_ + k] / count;
      result.members[k].nll += holdout.member_nll[row * members_ + k] / count;
    }
    result.nll += holdout.nll[row] / count;
  }
  for (MemberError& member : result.members) member.rmse = std::sqrt(member.rmse);
  NoveltyReport& novelty = result.novelty;
  novelty.training_95 = Quantile(training.novelty, 0.95);
  novelty.holdout_median = Quantile(holdout.novelty, 0.5);
  novelty.holdout_share =
      static_cast<double>(std::ranges::count_if(
          holdout.novelty, [&](double score) { return score > novelty.training_95; })) /
      count;
  novelty.rank_correlation = RankCorrelation(holdout.novelty, holdout.squares);
}

int Calibrator::Reach(int64_t row) const {
  const Dataset& data = split_.holdout;
  int steps = 1;
  while (steps < options_.horizon && row + steps < data.size() && data.continues(row + steps)) {
    ++steps;
  }
  return steps;
}

StretchError Calibrator::Compare(int64_t row, int step, const Forecaster& f) const {
  const std::span<const double> start = split_.holdout.observation(row);
  const std::span<const double> observed = split_.holdout.next_observation(row + step);
  StretchError error{std::vector<double>(no_), std::vector<double>(no_), std::vector<double>(no_),
                     std::vector<std::array<bool, kCalibrationLevels.size()>>(no_)};
  const auto particles = static_cast<size_t>(particles_);
  const size_t share = particles / members_;
  const auto per_member = static_cast<double>(share);
  for (size_t i = 0; i < no_; ++i) {
    double mean = 0;
    double noise = 0;
    double cdf = 0;
    std::vector<double> member_mean(members_);
    for (size_t p = 0; p < particles; ++p) {
      const double off = model_.difference()(i, f.mean[p * no_ + i], observed[i]);
      const double deviation = f.deviation[p * no_ + i];
      mean += off / static_cast<double>(particles);
      noise += deviation * deviation / static_cast<double>(particles);
      cdf += NormalCdf(-off, deviation) / static_cast<double>(particles);
      member_mean[p % members_] += off / per_member;
    }
    double between = 0;  // variance of the members' means
    for (const double value : member_mean) {
      between += (value - mean) * (value - mean) / static_cast<double>(members_);
    }
    double within = 0;  // mean over members of the variance of their particles
    for (size_t p = 0; p < particles; ++p) {
      const double off =
          model_.difference()(i, f.mean[p * no_ + i], observed[i]) - member_mean[p % members_];
      within += off * off / static_cast<double>(particles);
    }
    // Var = E[s^2] + E[Var(mu | member)] + Var(E[mu | member]); the last is epistemic, less what
    // few particles per member add to it: with n particles of each of M members,
    //   E[between] = Var(E[mu | member]) + (M - 1) / M v / n,  E[within] = v (n - 1) / n
    const double chance =
        per_member > 1 ? (1 - 1 / static_cast<double>(members_)) * within / (per_member - 1) : 0;
    const double total = noise + within + between;
    error.squares[i] = mean * mean;
    error.persistence[i] = std::pow(model_.difference()(i, start[i], observed[i]), 2);
    error.epistemic[i] = total == 0 ? 0 : (between - chance) / total;
    for (size_t level = 0; level < kCalibrationLevels.size(); ++level) {
      error.covered[i][level] = std::abs(cdf - 0.5) <= 0.5 * kCalibrationLevels[level];
    }
  }
  return error;
}

std::vector<StretchError> Calibrator::JudgeStretch(int64_t row, Forecaster& f) const {
  const Dataset& data = split_.holdout;
  const int reach = Reach(row);
  const auto particles = static_cast<size_t>(particles_);
  const auto member = [this](size_t particle) { return static_cast<int>(particle % members_); };
  Random random(key_.Fold(static_cast<uint64_t>(row)));
  for (size_t p = 0; p < particles; ++p) {
    const std::span<const double> start = data.observation(row);
    std::ranges::copy(start, &f.state[p * no_]);
    if (model_.noise_moves_state()) continue;
    // What was observed is off by the noise of measurement.
    model_.Predict(member(p), 1, start.data(), data.action(row).data(), &f.mean[p * no_],
                   &f.deviation[p * no_], *f.workspace);
    for (size_t i = 0; i < no_; ++i) {
      f.state[p * no_ + i] += f.deviation[p * no_ + i] * random.Normal();
    }
  }
  std::vector<StretchError> errors;
  for (int step = 0; step < reach; ++step) {
    for (size_t p = 0; p < particles; ++p) {
      if (control_.stop.stop_requested()) return errors;
      model_.Predict(member(p), 1, &f.state[p * no_], data.action(row + step).data(),
                     &f.mean[p * no_], &f.deviation[p * no_], *f.workspace);
      for (size_t i = 0; i < no_; ++i) {
        const double noise = model_.noise_moves_state() ? random.Normal() : 0;
        f.state[p * no_ + i] = f.mean[p * no_ + i] + f.deviation[p * no_ + i] * noise;
      }
    }
    errors.push_back(Compare(row, step, f));
  }
  return errors;
}

void Calibrator::FillHorizons(Calibration& result) {
  const std::vector<int64_t> starts = Spread(split_.holdout.size(), options_.starts);
  std::vector<std::vector<StretchError>> errors(starts.size());
  FitMeter meter(control_, static_cast<double>(starts.size()));
  executor_.ParallelFor(static_cast<int>(starts.size()), [&](int task, int worker) {
    if (control_.stop.stop_requested()) return;
    const auto place = static_cast<size_t>(task);
    errors[place] = JudgeStretch(starts[place], forecasters_[static_cast<size_t>(worker)]);
    meter.Add(1, 0);
  });
  control_.ThrowIfStopped();
  for (size_t step = 0; step < static_cast<size_t>(options_.horizon); ++step) {
    HorizonError horizon{static_cast<int>(step) + 1,
                         0,
                         std::vector<double>(no_),
                         std::vector<double>(no_),
                         std::vector<double>(no_),
                         std::vector<std::array<double, kCalibrationLevels.size()>>(no_)};
    for (const auto& stretch : errors) {
      if (step >= stretch.size()) continue;
      ++horizon.starts;
      for (size_t i = 0; i < no_; ++i) {
        horizon.rmse[i] += stretch[step].squares[i];
        horizon.persistence[i] += stretch[step].persistence[i];
        horizon.epistemic_share[i] += stretch[step].epistemic[i];
        for (size_t level = 0; level < kCalibrationLevels.size(); ++level) {
          horizon.coverage[i][level] += stretch[step].covered[i][level] ? 1 : 0;
        }
      }
    }
    if (horizon.starts == 0) break;
    const auto count = static_cast<double>(horizon.starts);
    for (size_t i = 0; i < no_; ++i) {
      horizon.rmse[i] = std::sqrt(horizon.rmse[i] / count);
      horizon.persistence[i] = std::sqrt(horizon.persistence[i] / count);
      // By chance it may be below 0, one start's often is.
      horizon.epistemic_share[i] = MaxOrNan(0.0, horizon.epistemic_share[i] / count);
      for (double& coverage : horizon.coverage[i]) coverage /= count;
    }
    result.horizons.push_back(std::move(horizon));
  }
}

}  // namespace

void CalibrationOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("holdout", holdout, {0.01, 0.9}, "share of the data that is only judged");
  visitor.Field("horizon", horizon, {1, 1000}, "longest prediction [steps]");
  visitor.Field("particles", particles, {1, 10000}, "imagined rollouts per start");
  visitor.Field("starts", starts, {1, 100000}, "starts of predictions, at most");
  visitor.Field("refit", refit, "afterwards fit to all rows, also those that were judged on");
}

namespace {

/// How many of `count` are held out; a share that is no double (0.29 of 100) is not cut short.
int64_t Held(double share, int64_t count) {
  constexpr double kRounding = 1e-9;
  return static_cast<int64_t>(std::floor(share * static_cast<double>(count) + kRounding));
}

}  // namespace

DataSplit SplitForCalibration(const Dataset& data, double holdout) {
  constexpr int kFewEpisodes = 5;
  DataSplit split{Dataset(data.observation_dim(), data.action_dim()),
                  Dataset(data.observation_dim(), data.action_dim()), ""};
  const auto begins = [&data](int64_t row) {
    return row == 0 || data.episode(row) != data.episode(row - 1);
  };
  int64_t count = 0;  // episodes
  for (int64_t row = 0; row < data.size(); ++row) count += begins(row) ? 1 : 0;
  // Of many, that share, evenly spread, but at least the last.
  const double share = std::max(holdout, 1.0 / static_cast<double>(std::max<int64_t>(count, 1)));
  const int64_t held_rows = std::max<int64_t>(1, Held(holdout, data.size()));
  int64_t place = -1;  // of the episode
  for (int64_t row = 0; row < data.size(); ++row) {
    if (begins(row)) ++place;
    const bool held = count == 1             ? row >= data.size() - held_rows
                      : count < kFewEpisodes ? place == count - 1
                                             : Held(share, place + 1) > Held(share, place);
    (held ? split.holdout : split.training).Add(data.transition(row));
  }
  split.how = count == 1 ? fmt::format("the last {} rows of the only episode", split.holdout.size())
              : count < kFewEpisodes
                  ? fmt::format("the last of {} episodes", count)
                  : fmt::format("{} of {} episodes, evenly spread", Held(share, count), count);
  if (split.training.size() == 0 || split.holdout.size() == 0) {
    throw InputError(fmt::format(
        "data: found {} transitions in {} episodes, expected some to fit and some to hold out",
        data.size(), count));
  }
  return split;
}

Calibration Calibrate(const LearnedModel& model, const DataSplit& split,
                      const CalibrationOptions& options, Key key, Executor& executor,
                      const FitControl& control) {
  return Calibrator(model, split, options, key, executor, control).Run();
}

}  // namespace foreplan

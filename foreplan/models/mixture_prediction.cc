#include "foreplan/models/mixture_prediction.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "foreplan/core/size.h"

namespace foreplan {
namespace {

constexpr int kRows = 64;  // that are predicted together: [rows x width] stays in the cache

/// Calls work(first, rows, worker) for blocks of rows, shared out to the executor.
template <typename Work>
void ForBlocks(Executor& executor, int rows, const Work& work) {
  executor.ParallelFor((rows + kRows - 1) / kRows, [&](int block, int worker) {
    work(block * kRows, std::min(kRows, rows - block * kRows), static_cast<size_t>(worker));
  });
}

/// Draws the next observations of a block of rows, member by member.
class BlockSampler {
 public:
  explicit BlockSampler(const LearnedModel& model)
      : model_(model),
        workspace_(model.MakePredictionWorkspace(kRows)),
        no_(model.snapshot()->observation_dim()),
        nu_(model.snapshot()->action_dim()),
        observation_(Size(kRows, no_)),
        action_(Size(kRows, nu_)),
        mean_(observation_.size()),
        deviation_(observation_.size()) {}

  /// Rows `first` on of all.
  void Sample(int first, int rows, const double* observation, const double* action,
              std::span<const int> members, Key key, double* drawn) {
    random_.clear();
    for (int row = 0; row < rows; ++row) {
      random_.emplace_back(key.Fold(static_cast<uint64_t>(first + row)));
      member_[static_cast<size_t>(row)] =
          members.empty()
              ? static_cast<int>(random_.back().Below(static_cast<uint64_t>(model_.members())))
              : members[static_cast<size_t>(first + row)];
    }
    for (int member = 0; member < model_.members(); ++member) {
      const int gathered = Gather(member, first, rows, observation, action);
      if (gathered == 0) continue;
      model_.Predict(member, gathered, observation_.data(), action_.data(), mean_.data(),
                     deviation_.data(), *workspace_);
      Scatter(gathered, first, drawn);
    }
  }

 private:
  int Gather(int member, int first, int rows, const double* observation, const double* action) {
    int count = 0;
    for (int row = 0; row < rows; ++row) {
      if (member_[static_cast<size_t>(row)] != member) continue;
      std::copy_n(observation + Size(first + row, no_), no_,
                  observation_.data() + Size(count, no_));
      std::copy_n(action + Size(first + row, nu_), nu_, action_.data() + Size(count, nu_));
      place_[static_cast<size_t>(count++)] = row;
    }
    return count;
  }

  // x' = mu_k + s_k noise
  void Scatter(int count, int first, double* drawn) {
    for (int i = 0; i < count; ++i) {
      const int row = place_[static_cast<size_t>(i)];
      Random& random = random_[static_cast<size_t>(row)];
      double* next = drawn + Size(first + row, no_);
      for (int k = 0; k < no_; ++k) {
        next[k] =
            mean_[Size(i, no_) + Size(k)] + deviation_[Size(i, no_) + Size(k)] * random.Normal();
      }
    }
  }

  const LearnedModel& model_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  int no_;
  int nu_;
  std::vector<Random> random_;            // [rows]
  std::array<int, kRows> member_{};       // [rows]
  std::array<int, kRows> place_{};        // of the rows of a member, in the block
  std::vector<double> observation_;       // [kRows x no], of the rows of a member
  std::vector<double> action_;            // [kRows x nu]
  std::vector<double> mean_, deviation_;  // [kRows x no]
};

}  // namespace

MixturePrediction::MixturePrediction(const LearnedModel& model, int max_rows)
    : model_(model),
      workspace_(model.MakePredictionWorkspace(max_rows)),
      no_(static_cast<size_t>(model.snapshot()->observation_dim())),
      member_mean_(Size(max_rows) * no_),
      member_deviation_(member_mean_.size()),
      first_(member_mean_.size()),
      sum_(member_mean_.size()),
      spread_(member_mean_.size()),
      noise_(member_mean_.size()) {}

void MixturePrediction::Predict(int rows, const double* observation, const double* action,
                                double* mean, double* deviation) {
  const size_t count = Size(rows) * no_;
  for (std::vector<double>* sums : {&sum_, &spread_, &noise_}) std::ranges::fill(*sums, 0.0);
  for (int member = 0; member < model_.members(); ++member) {
    model_.Predict(member, rows, observation, action, member_mean_.data(), member_deviation_.data(),
                   *workspace_);
    if (member == 0) first_ = member_mean_;
    for (size_t i = 0; i < count; ++i) {
      const double away = member_mean_[i] - first_[i];  // so that little cancels in the squares
      sum_[i] += away;
      spread_[i] += away * away;
      noise_[i] += member_deviation_[i] * member_deviation_[i];
    }
  }
  const auto members = static_cast<double>(model_.members());
  for (size_t i = 0; i < count; ++i) {
    const double away = sum_[i] / members;
    mean[i] = first_[i] + away;
    deviation[i] =
        std::sqrt(noise_[i] / members + std::max(0.0, spread_[i] / members - away * away));
  }
}

void PredictMixture(const LearnedModel& model, int rows, const double* observation,
                    const double* action, double* mean, double* deviation, Executor& executor) {
  const ptrdiff_t no = model.snapshot()->observation_dim();
  const ptrdiff_t nu = model.snapshot()->action_dim();
  std::vector<MixturePrediction> mixtures;
  for (int i = 0; i < executor.size(); ++i) mixtures.emplace_back(model, std::min(rows, kRows));
  ForBlocks(executor, rows, [&](int first, int count, size_t worker) {
    mixtures[worker].Predict(count, observation + first * no, action + first * nu,
                             mean + first * no, deviation + first * no);
  });
}

void SampleMixture(const LearnedModel& model, int rows, const double* observation,
                   const double* action, std::span<const int> members, Key key, double* drawn,
                   Executor& executor) {
  std::vector<BlockSampler> samplers;
  for (int i = 0; i < executor.size(); ++i) samplers.emplace_back(model);
  ForBlocks(executor, rows, [&](int first, int count, size_t worker) {
    samplers[worker].Sample(first, count, observation, action, members, key, drawn);
  });
}

}  // namespace foreplan

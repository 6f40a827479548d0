#include "foreplan/nets/parallel_adam.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/data/tensor_checks.h"

namespace foreplan {

ParallelAdam::ParallelAdam(int64_t parameters, int parts, const AdamOptions& options,
                           std::shared_ptr<Executor> executor)
    : options_(options),
      executor_(std::move(executor)),
      parts_(parts),
      first_moment_(static_cast<size_t>(parameters)),
      second_moment_(first_moment_.size()),
      gradients_(Size(parts) * first_moment_.size()),
      squares_(Size(pieces())) {}

std::span<float> ParallelAdam::part(int index) {
  return std::span(gradients_).subspan(Size(index) * first_moment_.size(), first_moment_.size());
}

double ParallelAdam::Sum(float factor) {
  executor_->ParallelFor(pieces(), [&](int piece, int /*worker*/) {
    const size_t first = Size(piece) * kPiece;
    const size_t count = std::min(kPiece, first_moment_.size() - first);
    float* __restrict sum = gradients_.data() + first;
    for (int index = 1; index < parts_; ++index) {
      const float* __restrict more = part(index).data() + first;
      for (size_t i = 0; i < count; ++i) sum[i] += more[i];
    }
    double squares = 0;
    for (size_t i = 0; i < count; ++i) {
      sum[i] *= factor;
      squares += static_cast<double>(sum[i]) * sum[i];
    }
    squares_[Size(piece)] = squares;
  });
  double squares = 0;
  for (const double square : squares_) squares += square;
  return std::sqrt(squares);
}

void ParallelAdam::Step(size_t first, std::span<float> parameters) {
  const auto piece = [&](std::vector<float>& all) {
    return std::span(all).subspan(first, parameters.size());
  };
  AdamStep(options_, steps_, piece(gradients_), piece(first_moment_), piece(second_moment_),
           parameters);
}

void ParallelAdam::Forget() {
  steps_ = 0;
  std::ranges::fill(first_moment_, 0.0F);
  std::ranges::fill(second_moment_, 0.0F);
}

void ParallelAdam::Save(const std::string& prefix, TensorFile& file) const {
  const std::vector<int64_t> shape = {std::ssize(first_moment_)};
  file.tensors[prefix + "first_moment"] = {shape, first_moment_};
  file.tensors[prefix + "second_moment"] = {shape, second_moment_};
  // Beyond this many, Adam's corrections are 1.
  const int64_t steps = std::min<int64_t>(steps_, std::numeric_limits<int32_t>::max());
  file.tensors[prefix + "adam_steps"] = {{1}, std::vector<int32_t>{static_cast<int32_t>(steps)}};
}

void ParallelAdam::Restore(const std::string& prefix, const TensorFile& file) {
  const std::array<int64_t, 1> shape = {std::ssize(first_moment_)};
  const std::array<int64_t, 1> one = {1};
  const std::vector<float>& first = file.Floats(prefix + "first_moment", shape);
  const std::vector<float>& second = file.Floats(prefix + "second_moment", shape);
  const std::vector<int32_t>& steps = file.Ints(prefix + "adam_steps", one);
  CheckFinite(file, prefix + "first_moment");
  CheckAtLeast(file, prefix + "second_moment", 0);
  CheckCounters(file, prefix + "adam_steps");
  first_moment_ = first;
  second_moment_ = second;
  steps_ = steps[0];
}

}  // namespace foreplan

// Prediction kernels: products per second through a whole network, weights and rows in cache.
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/random.h"
#include "foreplan/core/size.h"
#include "foreplan/nets/prediction_kernel.h"

namespace foreplan {
namespace {

void Predict(benchmark::State& state, Precision precision, const std::vector<int>& widths) {
  const Mlp mlp(widths);
  const PredictionKernel& kernel = GetPredictionKernel("auto", precision);
  const int rows = static_cast<int>(state.range(0));
  Random random(Key{1, 2});
  std::vector<float> parameters(Size(mlp.parameters()));
  for (float& value : parameters) value = static_cast<float>(0.1 * random.Normal());
  std::vector<float> x(Size(rows, mlp.inputs()));
  for (float& value : x) value = static_cast<float>(random.Normal());
  AlignedVector<std::byte> packed(kernel.packed_bytes(mlp));
  AlignedVector<std::byte> work(kernel.work_bytes(mlp, rows));
  kernel.Pack(mlp, parameters, packed);
  for (auto _ : state) {
    benchmark::DoNotOptimize(kernel.Predict(mlp, packed, rows, x.data(), work));
  }
  double products = 0;
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    products += 2.0 * rows * mlp.layer_inputs(layer) * mlp.layer_outputs(layer);
  }
  state.SetLabel(kernel.name());
  state.counters["flop/s"] =
      benchmark::Counter(products, benchmark::Counter::kIsIterationInvariantRate);
}

const std::vector<int> kSmall = {6, 200, 200, 200, 8};
const std::vector<int> kHalfCheetah = {24, 200, 200, 200, 200, 36};
const std::vector<int> kPaper = {6, 500, 500, 500, 8};

BENCHMARK_CAPTURE(Predict, small_f32, Precision::kF32, kSmall)->Arg(1)->Arg(64)->Arg(128);
BENCHMARK_CAPTURE(Predict, small_bf16, Precision::kBf16, kSmall)->Arg(1)->Arg(64)->Arg(128);
BENCHMARK_CAPTURE(Predict, half_cheetah_f32, Precision::kF32, kHalfCheetah)->Arg(64)->Arg(128);
BENCHMARK_CAPTURE(Predict, half_cheetah_bf16, Precision::kBf16, kHalfCheetah)->Arg(64)->Arg(128);
BENCHMARK_CAPTURE(Predict, paper_f32, Precision::kF32, kPaper)->Arg(64)->Arg(128);
BENCHMARK_CAPTURE(Predict, paper_bf16, Precision::kBf16, kPaper)->Arg(64)->Arg(128);

}  // namespace
}  // namespace foreplan

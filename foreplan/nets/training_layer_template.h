// The register-blocked loops behind TrainingLayerKernel, over an instruction set given as a type.
//
// Included by one file per instruction set, as nets/fused_layer_template.h is. Activations and Adam
// are the formulas of the files that every processor runs, term by term, so that the compiler fuses
// products and sums alike.
//
// An instruction set has: Vector (floats, with operators), kLanes, kRows x kVectors sums per tile,
// Mask, First(count), Zero(), All(float), Load, LoadPart(float*, mask), Store, StorePart(float*,
// mask, Vector), Keep(mask, Vector), MultiplyAdd(a, b, sum), Max, Min, Abs, Root, Select(z, a, b):
// a where z < 0, else b, ScaleByPower(p, shifted), Sum(Vector), Transpose(Vector*); and Half, the
// set of narrower vectors that the last columns of a matrix go through.
#pragma once

#include <cstddef>
#include <cstdint>

#include "foreplan/nets/training_layer.h"

namespace foreplan {
namespace {

// The factors of sums s[row, column] = sum over k < count of a[row, k] b[k, column].
struct Factors {
  const float* a;
  ptrdiff_t a_row, a_step;
  const float* b;
  ptrdiff_t b_step;
  int count;
};

// e^x, x in [-87, 88], as FastExpInRange of nets/activation.h.
template <typename Isa>
inline typename Isa::Vector ExpInRange(typename Isa::Vector x) {
  const auto all = [](float value) { return Isa::All(value); };
  const auto shifted = x * all(1.44269504F) + all(12582912.0F);
  const auto n = shifted - all(12582912.0F);
  const auto r = (x - n * all(0.693145752F)) - n * all(1.42860677e-6F);
  auto p = all(1.0F / 5040.0F);
  p = p * r + all(1.0F / 720.0F);
  p = p * r + all(1.0F / 120.0F);
  p = p * r + all(1.0F / 24.0F);
  p = p * r + all(1.0F / 6.0F);
  p = p * r + all(0.5F);
  p = p * r + all(1.0F);
  p = p * r + all(1.0F);
  return Isa::ScaleByPower(p, shifted);
}

template <typename Isa>
struct ValueAndSlope {
  typename Isa::Vector value, slope;
};

template <typename Isa>
inline ValueAndSlope<Isa> Activate(LayerFunction function, typename Isa::Vector z) {
  const auto zero = Isa::Zero();
  const auto one = Isa::All(1.0F);
  if (function == LayerFunction::kSwish) {
    const auto e = ExpInRange<Isa>(Isa::Max(Isa::All(-87.0F), zero - Isa::Abs(z)));  // NaN passes
    const auto inverse = one / (one + e);
    const auto s = Isa::Select(z, e * inverse, inverse);
    return {z * s, s + z * s * (one - s)};
  }
  if (function == LayerFunction::kRelu) {
    return {Isa::Select(z, zero, z), Isa::Select(zero - z, one, zero)};
  }
  if (function == LayerFunction::kElu) {
    const auto e = ExpInRange<Isa>(Isa::Min(Isa::All(88.0F), Isa::Max(Isa::All(-87.0F), z)));
    return {Isa::Select(zero - z, z, e - one), Isa::Select(zero - z, one, e)};
  }
  return {z, one};
}

// Whether the rows of a product with the weights transposed are fewer numbers than these.
inline bool TransposesRows(int rows, int inputs, int outputs) {
  return static_cast<int64_t>(rows) * (inputs + outputs) < static_cast<int64_t>(inputs) * outputs;
}

// Stores sums, each times its factor where there are some.
struct StoreSums {
  float* y;
  ptrdiff_t stride;
  const float* factor;  // like y, or null

  template <typename Isa>
  void Full(int row, int column, typename Isa::Vector sum) const {
    const ptrdiff_t place = row * stride + column;
    Isa::Store(y + place, factor == nullptr ? sum : sum * Isa::Load(factor + place));
  }
  template <typename Isa>
  void Part(int row, int column, int lanes, typename Isa::Vector sum) const {
    const ptrdiff_t place = row * stride + column;
    const auto mask = Isa::First(lanes);
    Isa::StorePart(y + place, mask,
                   factor == nullptr ? sum : sum * Isa::LoadPart(factor + place, mask));
  }
};

// Bias and activation, y and slope.
struct FinishLayer {
  LayerFunction function;
  const float* bias;
  float* y;
  float* slope;  // or null
  ptrdiff_t stride;

  template <typename Isa>
  void Full(int row, int column, typename Isa::Vector sum) const {
    const auto result = Activate<Isa>(function, sum + Isa::Load(bias + column));
    const ptrdiff_t place = row * stride + column;
    Isa::Store(y + place, result.value);
    if (slope != nullptr) Isa::Store(slope + place, result.slope);
  }
  template <typename Isa>
  void Part(int row, int column, int lanes, typename Isa::Vector sum) const {
    const auto mask = Isa::First(lanes);
    const auto result = Activate<Isa>(function, sum + Isa::LoadPart(bias + column, mask));
    const ptrdiff_t place = row * stride + column;
    Isa::StorePart(y + place, mask, result.value);
    if (slope != nullptr) Isa::StorePart(slope + place, mask, result.slope);
  }
};

template <typename Isa>
struct AdamVectors {
  typename Isa::Vector first, second, parameter;
};

// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p -= rate m / (sqrt(v) + eps).
template <typename Isa>
[[gnu::always_inline]] inline AdamVectors<Isa> AdamStepOf(const AdamCoefficients& adam,
                                                          typename Isa::Vector g,
                                                          AdamVectors<Isa> old) {
  const auto all = [](float value) { return Isa::All(value); };
  if (adam.weight_decay != 0) g = g + all(adam.weight_decay) * old.parameter;
  AdamVectors<Isa> step;
  step.first = all(adam.beta1) * old.first + all(1.0F - adam.beta1) * g;
  step.second = all(adam.beta2) * old.second + all(1.0F - adam.beta2) * g * g;
  step.parameter =
      old.parameter - all(adam.rate) * step.first / (Isa::Root(step.second) + all(adam.epsilon));
  return step;
}

// Adam's step at `count` parameters from `place` on; gradient: [count].
template <typename Isa>
void StepParameters(const AdamCoefficients& adam, const TrainedLayer& layer, ptrdiff_t place,
                    int count, const float* gradient) {
  float* const p = layer.parameters + place;
  float* const m = layer.first_moment + place;
  float* const v = layer.second_moment + place;
  int i = 0;
  for (; i + Isa::kLanes <= count; i += Isa::kLanes) {
    const auto step = AdamStepOf<Isa>(adam, Isa::Load(gradient + i),
                                      {Isa::Load(m + i), Isa::Load(v + i), Isa::Load(p + i)});
    Isa::Store(m + i, step.first);
    Isa::Store(v + i, step.second);
    Isa::Store(p + i, step.parameter);
  }
  if (i == count) return;
  const auto mask = Isa::First(count - i);
  const auto step = AdamStepOf<Isa>(
      adam, Isa::LoadPart(gradient + i, mask),
      {Isa::LoadPart(m + i, mask), Isa::LoadPart(v + i, mask), Isa::LoadPart(p + i, mask)});
  Isa::StorePart(m + i, mask, step.first);
  Isa::StorePart(v + i, mask, step.second);
  Isa::StorePart(p + i, mask, step.parameter);
}

// kRows x kVectors vectors of sums; of their last vector `lanes` count.
template <typename Isa, int kRows, int kVectors, bool kPart, typename Finish>
__attribute__((noinline)) void Tile(const Factors& factors, int row, int column, int lanes,
                                    const Finish& finish) {
  constexpr int kLanes = Isa::kLanes;
  const float* a = factors.a + row * factors.a_row;
  const float* b = factors.b + column;
  const ptrdiff_t a_row = factors.a_row;
  const ptrdiff_t a_step = factors.a_step;
  const ptrdiff_t b_step = factors.b_step;
  const auto mask = Isa::First(lanes);
  typename Isa::Vector sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Isa::Zero();
  }
  for (int k = 0; k < factors.count; ++k, a += a_step, b += b_step) {
    typename Isa::Vector w[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      w[v] = kPart ? Isa::LoadPart(b + v * kLanes, mask) : Isa::Load(b + v * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto x = Isa::All(a[r * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Isa::MultiplyAdd(x, w[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int at = column + v * kLanes;
      if constexpr (kPart) {
        finish.template Part<Isa>(row + r, at, lanes, sum[r][v]);
      } else {
        finish.template Full<Isa>(row + r, at, sum[r][v]);
      }
    }
  }
}

// All columns of kRows rows.
template <typename Isa, int kRows, typename Finish>
inline void Tiles(const Factors& factors, int row, int columns, const Finish& finish) {
  using Half = typename Isa::Half;
  constexpr int kLanes = Isa::kLanes;
  constexpr int kPanel = Isa::kVectors * kLanes;
  int column = 0;
  for (; column + kPanel <= columns; column += kPanel) {
    Tile<Isa, kRows, Isa::kVectors, false>(factors, row, column, kLanes, finish);
  }
  if (column + 2 * kLanes <= columns) {
    Tile<Isa, kRows, 2, false>(factors, row, column, kLanes, finish);
    column += 2 * kLanes;
  }
  if (column + kLanes <= columns) {
    Tile<Isa, kRows, 1, false>(factors, row, column, kLanes, finish);
    column += kLanes;
  }
  const int left = columns - column;
  if (left > Half::kLanes) {
    Tile<Isa, kRows, 1, true>(factors, row, column, left, finish);
  } else if (left > 0) {
    Tile<Half, kRows, 1, true>(factors, row, column, left, finish);
  }
}

// Rows in blocks of kRows, the rest in blocks of half as many, and so on.
template <typename Isa, int kRows, typename Finish>
inline void Sums(const Factors& factors, int row, int rows, int columns, const Finish& finish) {
  for (; row + kRows <= rows; row += kRows) Tiles<Isa, kRows>(factors, row, columns, finish);
  if constexpr (kRows > 1) {
    if (row < rows) Sums<Isa, kRows / 2>(factors, row, rows, columns, finish);
  }
}

// to[j, i] = from[i, j], times factor[j, i] unless null. from: [rows x columns].
template <typename Isa>
void Transpose(int rows, int columns, const float* from, ptrdiff_t from_stride, float* to,
               ptrdiff_t to_stride, const float* factor) {
  constexpr int kLanes = Isa::kLanes;
  for (int row = 0; row < rows; row += kLanes) {
    const int height = rows - row < kLanes ? rows - row : kLanes;
    const auto tall = Isa::First(height);
    for (int column = 0; column < columns; column += kLanes) {
      const int width = columns - column < kLanes ? columns - column : kLanes;
      const auto wide = Isa::First(width);
      typename Isa::Vector block[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        block[i] =
            i < height ? Isa::LoadPart(from + (row + i) * from_stride + column, wide) : Isa::Zero();
      }
      Isa::Transpose(block);
      for (int i = 0; i < width; ++i) {
        const ptrdiff_t place = (column + i) * to_stride + row;
        if (factor != nullptr) block[i] = block[i] * Isa::LoadPart(factor + place, tall);
        Isa::StorePart(to + place, tall, block[i]);
      }
    }
  }
}

constexpr int WholeVectors(int count) { return (count + 15) / 16 * 16; }

template <typename Isa>
void Forward(LayerFunction function, int rows, int inputs, int outputs, const float* x,
             const float* weights, const float* bias, float* y, float* slope) {
  Sums<Isa, Isa::kRows>({x, inputs, 1, weights, outputs, inputs}, 0, rows, outputs,
                        FinishLayer{function, bias, y, slope, outputs});
}

// Vectors hold neighbouring numbers of the factor that is transposed for it: of the weights, or,
// where the rows are fewer numbers, of these, and the sums are transposed back.
template <typename Isa>
void BackwardInput(int rows, int inputs, int outputs, const float* dz, const float* weights,
                   const float* slope, float* scratch, float* dx) {
  if (TransposesRows(rows, inputs, outputs)) {
    const int stride = WholeVectors(rows);
    float* const sums = scratch + static_cast<ptrdiff_t>(outputs) * stride;
    Transpose<Isa>(rows, outputs, dz, outputs, scratch, stride, nullptr);
    Sums<Isa, Isa::kRows>({weights, outputs, 1, scratch, stride, outputs}, 0, inputs, rows,
                          StoreSums{sums, stride, nullptr});
    Transpose<Isa>(inputs, rows, sums, stride, dx, inputs, slope);
    return;
  }
  const int stride = WholeVectors(inputs);
  Transpose<Isa>(inputs, outputs, weights, outputs, scratch, stride, nullptr);
  Sums<Isa, Isa::kRows>({dz, outputs, 1, scratch, stride, outputs}, 0, rows, inputs,
                        StoreSums{dx, inputs, slope});
}

// sums[i] = sum over rows of dz[row, i].
template <typename Isa>
void SumRows(int rows, int columns, const float* dz, float* sums) {
  for (int column = 0; column < columns; column += Isa::kLanes) {
    const auto mask = Isa::First(columns - column < Isa::kLanes ? columns - column : Isa::kLanes);
    auto sum = Isa::Zero();
    for (int row = 0; row < rows; ++row) {
      sum = sum + Isa::LoadPart(dz + static_cast<ptrdiff_t>(row) * columns + column, mask);
    }
    Isa::StorePart(sums + column, mask, sum);
  }
}

template <typename Isa>
void BackwardWeight(int rows, int inputs, int outputs, const float* x, const float* dz,
                    float* d_weights, float* d_bias) {
  Sums<Isa, Isa::kRows>({x, 1, inputs, dz, outputs, rows}, 0, inputs, outputs,
                        StoreSums{d_weights, outputs, nullptr});
  SumRows<Isa>(rows, outputs, dz, d_bias);
}

// Some inputs' weights after the other: their gradients stay in the nearest cache.
template <typename Isa>
void Update(int rows, int inputs, int outputs, const float* x, const float* dz,
            const AdamCoefficients& adam, const TrainedLayer& layer, float* scratch) {
  for (int input = 0; input < inputs; input += Isa::kRows) {
    const int block = inputs - input < Isa::kRows ? inputs - input : Isa::kRows;
    Sums<Isa, Isa::kRows>({x + input, 1, inputs, dz, outputs, rows}, 0, block, outputs,
                          StoreSums{scratch, outputs, nullptr});
    StepParameters<Isa>(adam, layer, static_cast<ptrdiff_t>(input) * outputs, block * outputs,
                        scratch);
  }
  AdamCoefficients of_biases = adam;
  of_biases.weight_decay = 0;
  SumRows<Isa>(rows, outputs, dz, scratch);
  StepParameters<Isa>(of_biases, layer, static_cast<ptrdiff_t>(inputs) * outputs, outputs, scratch);
}

// The sum of term(column, mask) over a row's vectors.
template <typename Isa, typename Term>
inline float SumOfRow(int columns, const Term& term) {
  auto sum = Isa::Zero();
  for (int column = 0; column < columns; column += Isa::kLanes) {
    const int left = columns - column;
    sum = sum + term(column, Isa::First(left < Isa::kLanes ? left : Isa::kLanes));
  }
  return Isa::Sum(sum);
}

template <typename Isa>
void NormRows(float epsilon, int rows, int columns, float* x, float* inverse_deviation) {
  const float share = 1.0F / static_cast<float>(columns);
  for (int row = 0; row < rows; ++row, x += columns) {
    const float mean = share * SumOfRow<Isa>(columns, [&](int column, typename Isa::Mask mask) {
                         return Isa::LoadPart(x + column, mask);
                       });
    // Masked lanes are 0, and so must what they add be.
    const float variance = share * SumOfRow<Isa>(columns, [&](int column, typename Isa::Mask mask) {
                             const auto centred =
                                 Isa::LoadPart(x + column, mask) - Isa::Keep(mask, Isa::All(mean));
                             return centred * centred;
                           });
    const float inverse = 1.0F / Isa::Root(variance + epsilon);
    for (int column = 0; column < columns; column += Isa::kLanes) {
      const int left = columns - column;
      const auto mask = Isa::First(left < Isa::kLanes ? left : Isa::kLanes);
      Isa::StorePart(x + column, mask,
                     (Isa::LoadPart(x + column, mask) - Isa::All(mean)) * Isa::All(inverse));
    }
    inverse_deviation[row] = inverse;
  }
}

template <typename Isa>
void PullBackNorm(int rows, int columns, const float* x, const float* inverse_deviation,
                  const float* slope, float* d) {
  const float share = 1.0F / static_cast<float>(columns);
  for (int row = 0; row < rows; ++row, x += columns, slope += columns, d += columns) {
    const float mean = share * SumOfRow<Isa>(columns, [&](int column, typename Isa::Mask mask) {
                         return Isa::LoadPart(d + column, mask);
                       });
    const float along = share * SumOfRow<Isa>(columns, [&](int column, typename Isa::Mask mask) {
                          return Isa::LoadPart(d + column, mask) * Isa::LoadPart(x + column, mask);
                        });
    const auto inverse = Isa::All(inverse_deviation[row]);
    for (int column = 0; column < columns; column += Isa::kLanes) {
      const int left = columns - column;
      const auto mask = Isa::First(left < Isa::kLanes ? left : Isa::kLanes);
      const auto rest = Isa::LoadPart(d + column, mask) - Isa::All(mean) -
                        Isa::LoadPart(x + column, mask) * Isa::All(along);
      Isa::StorePart(d + column, mask, rest * inverse * Isa::LoadPart(slope + column, mask));
    }
  }
}

template <typename Isa>
constexpr TrainingLayerKernel MakeTrainingKernel(const char* name) {
  return {.name = name,
          .forward = &Forward<Isa>,
          .backward_input = &BackwardInput<Isa>,
          .backward_weight = &BackwardWeight<Isa>,
          .update = &Update<Isa>,
          .step = &StepParameters<Isa>,
          .norm_rows = &NormRows<Isa>,
          .pull_back_norm = &PullBackNorm<Isa>};
}

}  // namespace
}  // namespace foreplan

// The register-blocked loops behind FusedLayerKernel, over an instruction set given as a type.
//
// Included by one file per instruction set, each compiled with flags of its own. Such a file must
// not instantiate anything that other files share (the linker could pick its copy for a processor
// that lacks the instructions), hence the unnamed namespace and no standard library here.
//
// An instruction set has: Vector (32-bit lanes), kLanes, kRows x kVectors accumulators per block,
// kNumbers, Load(float*), Broadcast(unit), MultiplyAdd(unit vector, weights, sum), Swish(Vector),
// StoreHidden(y, place, Vector), StoreOutput(y, Vector); and for deviations LoadPart(float*,
// count), StorePart(float*, count, Vector), ExpOf(Vector), Deviation(max, e^max, e^min, raw).
#pragma once

#include <cstddef>
#include <cstdint>

#include "foreplan/nets/fused_layer.h"

namespace foreplan {
namespace {

// y[0 ... kRows) [kVectors * lanes] = a(bias + x panel).
template <typename Isa, int kRows, int kVectors, bool kHidden>
inline void Block(int units, const uint32_t* x, ptrdiff_t x_stride, const float* panel, void* y,
                  ptrdiff_t y_stride, ptrdiff_t place) {
  typename Isa::Vector sum[kRows][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const typename Isa::Vector bias = Isa::Load(panel + v * Isa::kLanes);
    for (int r = 0; r < kRows; ++r) sum[r][v] = bias;
  }
  const float* weights = panel + kVectors * Isa::kLanes;
  for (int k = 0; k < units; ++k, weights += kVectors * Isa::kLanes) {
    typename Isa::Vector w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = Isa::Load(weights + v * Isa::kLanes);
    for (int r = 0; r < kRows; ++r) {
      const typename Isa::Vector unit = Isa::Broadcast(x[r * x_stride + k]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Isa::MultiplyAdd(unit, w[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const ptrdiff_t column = place + v * Isa::kLanes;
      if constexpr (kHidden) {
        Isa::StoreHidden(static_cast<uint32_t*>(y) + r * y_stride, column, Isa::Swish(sum[r][v]));
      } else {
        Isa::StoreOutput(static_cast<float*>(y) + r * y_stride + column, sum[r][v]);
      }
    }
  }
}

// All panels for kRows rows.
template <typename Isa, int kRows, bool kHidden>
inline void Panels(int units, const uint32_t* x, ptrdiff_t x_stride, const float* packed,
                   int outputs, void* y, ptrdiff_t y_stride) {
  constexpr int kPanel = Isa::kVectors * Isa::kLanes;
  int place = 0;
  for (; place + kPanel <= outputs; place += kPanel, packed += kPanel * (units + 1)) {
    Block<Isa, kRows, Isa::kVectors, kHidden>(units, x, x_stride, packed, y, y_stride, place);
  }
  const int vectors = (outputs - place + Isa::kLanes - 1) / Isa::kLanes;
  if (vectors == 1) Block<Isa, kRows, 1, kHidden>(units, x, x_stride, packed, y, y_stride, place);
  if (vectors == 2) Block<Isa, kRows, 2, kHidden>(units, x, x_stride, packed, y, y_stride, place);
  if (vectors == 3) Block<Isa, kRows, 3, kHidden>(units, x, x_stride, packed, y, y_stride, place);
}

// Rows in blocks of kRows, the rest in blocks of half as many, and so on.
template <typename Isa, int kRows, bool kHidden>
inline void Rows(int rows, int units, const uint32_t* x, ptrdiff_t x_stride, const float* packed,
                 int outputs, void* y, ptrdiff_t y_stride) {
  while (rows >= kRows) {
    Panels<Isa, kRows, kHidden>(units, x, x_stride, packed, outputs, y, y_stride);
    x += kRows * x_stride;
    y = static_cast<uint32_t*>(y) + kRows * y_stride;
    rows -= kRows;
  }
  if constexpr (kRows > 1) {
    if (rows > 0) {
      Rows<Isa, kRows / 2, kHidden>(rows, units, x, x_stride, packed, outputs, y, y_stride);
    }
  }
}

template <typename Isa, bool kHidden>
void Layer(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
           void* y, int y_stride) {
  Rows<Isa, Isa::kRows, kHidden>(rows, units, static_cast<const uint32_t*>(x), x_stride, packed,
                                 outputs, y, y_stride);
}

// For a `dim` that divides the lanes: several rows share a vector.
template <typename Isa>
void DeviationsOfShortRows(int rows, int dim, const float* raw, int stride, const float* max,
                           const float* min, float* deviation) {
  alignas(64) float bounds[2][Isa::kLanes];
  for (int i = 0; i < Isa::kLanes; ++i) {
    bounds[0][i] = max[i % dim];
    bounds[1][i] = min[i % dim];
  }
  const typename Isa::Vector upper = Isa::Load(bounds[0]);
  const typename Isa::Vector largest = Isa::ExpOf(upper);
  const typename Isa::Vector smallest = Isa::ExpOf(Isa::Load(bounds[1]));
  for (int row = 0; row < rows; ++row) {
    for (int i = 0; i < dim; ++i) deviation[row * dim + i] = raw[row * stride + i];
  }
  const int all = rows * dim;
  for (int first = 0; first < all; first += Isa::kLanes, deviation += Isa::kLanes) {
    const int count = all - first < Isa::kLanes ? all - first : Isa::kLanes;
    Isa::StorePart(deviation, count,
                   Isa::Deviation(upper, largest, smallest, Isa::LoadPart(deviation, count)));
  }
}

template <typename Isa>
void Deviations(int rows, int dim, const float* raw, int stride, const float* max, const float* min,
                float* deviation) {
  if (dim < Isa::kLanes && Isa::kLanes % dim == 0) {
    DeviationsOfShortRows<Isa>(rows, dim, raw, stride, max, min, deviation);
    return;
  }
  for (int first = 0; first < dim; first += Isa::kLanes) {
    const int count = dim - first < Isa::kLanes ? dim - first : Isa::kLanes;
    const typename Isa::Vector upper = Isa::LoadPart(max + first, count);
    const typename Isa::Vector largest = Isa::ExpOf(upper);
    const typename Isa::Vector smallest = Isa::ExpOf(Isa::LoadPart(min + first, count));
    for (int row = 0; row < rows; ++row) {
      Isa::StorePart(deviation + row * dim + first, count,
                     Isa::Deviation(upper, largest, smallest,
                                    Isa::LoadPart(raw + row * stride + first, count)));
    }
  }
}

template <typename Isa>
constexpr FusedLayerKernel MakeKernel(const char* name,
                                      decltype(FusedLayerKernel::split) split = nullptr) {
  return {.name = name,
          .lanes = Isa::kLanes,
          .panel = Isa::kVectors * Isa::kLanes,
          .numbers = Isa::kNumbers,
          .hidden = &Layer<Isa, true>,
          .output = &Layer<Isa, false>,
          .split = split,
          .deviation = &Deviations<Isa>};
}

}  // namespace
}  // namespace foreplan

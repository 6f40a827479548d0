// One dense layer of a network that predicts, fused with its bias and activation in registers, for
// the instruction sets that this processor may offer. Internal to nets/.
#pragma once

#include <cstdint>

namespace foreplan {

/// What the 32-bit units of rows and weights hold; a pair is of bf16 numbers that are multiplied
/// and added to the float sum in one instruction.
enum class UnitNumbers {
  kFloat,
  kRoundedPairs,  // numbers 2 i and 2 i + 1, rounded to bf16; an input of the first layer, which is
                  // worth more, is a pair of its own: x = high + low but for 2^-17, with its weight
                  // twice
  kExactPairs,    // numbers i and i + lanes of every 2 lanes, as sums of three bf16 numbers, which
                  // is exact but for infinities (they become NaN): the firsts, the seconds and the
                  // thirds of a row or a panel lie in planes one after the other
};

[[nodiscard]] constexpr int Planes(UnitNumbers numbers) {
  return numbers == UnitNumbers::kExactPairs ? 3 : 1;
}

/// y = a(x W + b) with a = swish or the identity, over rows of units.
///
/// W and b are packed in panels of `panel` outputs, the last one cut to the vectors it needs. A
/// panel holds its biases [outputs], then its weights [planes x units x outputs].
struct FusedLayerKernel {
  const char* name;
  int lanes;  // outputs per vector: widths are padded to a multiple of it
  int panel;  // outputs per panel, a multiple of lanes
  UnitNumbers numbers;
  int unit_block = 1;  // units are padded with zeros, in x and in W, to a multiple of it
  int row_block = 1;   // buffers hold rows up to a multiple of it; those beyond are anything

  /// A hidden layer: swish, and y in units for the next layer, padded outputs included (they are
  /// 0). x: [rows x x_stride units], y: [rows x y_stride units]; a stride spans the planes, `units`
  /// are those of one.
  void (*hidden)(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
                 void* y, int y_stride);
  /// The last layer: no activation, and y in floats. y: [rows x y_stride floats].
  void (*output)(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
                 void* y, int y_stride);
  /// The network's inputs as units, 0 beyond them; null for floats. x: [rows x inputs], units:
  /// [rows x stride].
  void (*split)(int rows, int inputs, const float* x, uint32_t* units, int stride);
  /// BoundedDeviation of nets/losses.h, max and min: [dim].
  void (*deviation)(int rows, int dim, const float* raw, int stride, const float* max,
                    const float* min, float* deviation);
};

/// Null where this build or this processor lacks the instructions.
const FusedLayerKernel* FusedLayerAvx2();        // AVX2, FMA
const FusedLayerKernel* FusedLayerAvx512();      // AVX-512 F, BW, DQ, VL
const FusedLayerKernel* FusedLayerAvx512Bf16();  // and AVX512-BF16
const FusedLayerKernel* FusedLayerAmx();         // and AMX-BF16, where the system grants it
const FusedLayerKernel* FusedLayerAmxF32();      // the same: six products of bf16 for one of float

}  // namespace foreplan

// One dense layer of a network that predicts, fused with its bias and activation in registers, for
// the instruction sets that this processor may offer. Internal to nets/.
#pragma once

#include <cstdint>

namespace foreplan {

/// y = a(x W + b) with a = swish or the identity, over rows of 32-bit units: a unit is one float,
/// or a pair of bf16 numbers that are multiplied and added to the float sum in one instruction.
///
/// W and b are packed in panels of `panel` outputs, the last one cut to the vectors it needs. A
/// panel holds its biases [outputs], then its weights [units x outputs x numbers per unit].
struct FusedLayerKernel {
  const char* name;
  int lanes;           // outputs per vector: widths are padded to a multiple of it
  int panel;           // outputs per panel, a multiple of lanes
  bool bf16;           // a unit is a pair of bf16 numbers, else one float
  int unit_block = 1;  // units are padded with zeros, in x and in W, to a multiple of it
  int row_block = 1;   // buffers hold rows up to a multiple of it; those beyond are anything

  /// A hidden layer: swish, and y in units for the next layer, padded outputs included (they are
  /// 0). x: [rows x x_stride units], y: [rows x y_stride units].
  void (*hidden)(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
                 void* y, int y_stride);
  /// The last layer: no activation, and y in floats. y: [rows x y_stride floats].
  void (*output)(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
                 void* y, int y_stride);
  /// In bf16: an input x becomes the unit (high, low), x = high + low but for 2^-17; units beyond
  /// the inputs are 0. x: [rows x inputs], units: [rows x stride]. Null in float.
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

}  // namespace foreplan

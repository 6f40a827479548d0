// Compiled with AMX and AVX512-BF16 (CMakeLists.txt); runs only where the processor and the kernel
// have them.
#include "foreplan/core/processor.h"
#include "foreplan/nets/fused_layer.h"

#ifdef __AMX_BF16__
#include "foreplan/nets/fused_layer_avx512.h"
#include "foreplan/nets/fused_layer_template.h"
#endif

namespace foreplan {

#ifdef __AMX_BF16__
namespace {

// A tile is 16 rows of 64 bytes: 16 floats, or 16 units. tdpbf16ps adds to a tile of sums [16 rows
// x 16 outputs] the product of a tile of x [16 rows x 16 units] and one of weights [16 units x 16
// outputs].
constexpr int kTile = 16;
constexpr int kBlock =
    2 * kTile;  // rows, and outputs, of a block: tiles 0-3, x in 4-5, weights in 6-7

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The intrinsics of g++ 12 do not tell the compiler which memory they read, so that it may drop
// what was stored there: hence assembly with a clobber of memory.
void Configure() {
  static constexpr TileConfig kConfig;
  asm volatile("ldtilecfg %0" : : "m"(kConfig) : "memory");
}
void Release() { asm volatile("tilerelease" : : : "memory"); }

template <int kRegister>
inline void LoadTile(const void* from, ptrdiff_t stride_bytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2"
               :
               : "r"(from), "r"(stride_bytes), "i"(kRegister)
               : "memory");
}
template <int kRegister>
inline void StoreTile(void* to, ptrdiff_t stride_bytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)"
               :
               : "r"(to), "r"(stride_bytes), "i"(kRegister)
               : "memory");
}
template <int kSum, int kX, int kWeights>
inline void MultiplyAdd() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kX), "i"(kWeights));
}

// What is left to do for a block whose sums are known: y = swish(sums) as units. It is done a few
// rows at a time between the products of the next block, so that neither waits for the other.
struct Activation {
  const float* sums = nullptr;  // [rows x kBlock]
  uint32_t* y = nullptr;        // [rows x stride units]
  ptrdiff_t stride = 0;
  int rows = 0;

  void Do(int count) {
    count = count < rows ? count : rows;
    for (int row = 0; row < count; ++row, sums += kBlock, y += stride) {
      const __m512 low = Avx512Bf16::Swish(_mm512_load_ps(sums));
      const __m512 high = Avx512Bf16::Swish(_mm512_load_ps(sums + kTile));
      _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    rows -= count;
  }
};

// Tiles 0-3 = bias + x panel, for kRowTiles x kColumnTiles tiles of rows and outputs.
template <int kRowTiles, int kColumnTiles>
inline void Products(int units, const uint32_t* x, ptrdiff_t x_stride, const float* panel,
                     Activation& before) {
  constexpr bool kTwoRows = kRowTiles > 1;
  constexpr bool kTwoColumns = kColumnTiles > 1;
  constexpr ptrdiff_t kPanelBytes = kColumnTiles * 64;
  const ptrdiff_t x_bytes = 4 * x_stride;
  const int rows_per_step = (before.rows * kTile + units - 1) / units;
  LoadTile<0>(panel, 0);  // a stride of 0: the same biases in all 16 rows
  if constexpr (kTwoColumns) LoadTile<1>(panel + kTile, 0);
  if constexpr (kTwoRows) LoadTile<2>(panel, 0);
  if constexpr (kTwoRows && kTwoColumns) LoadTile<3>(panel + kTile, 0);
  const float* weights = panel + kColumnTiles * kTile;
  for (int k = 0; k < units; k += kTile, weights += kTile * kColumnTiles * kTile) {
    LoadTile<4>(x + k, x_bytes);
    LoadTile<6>(weights, kPanelBytes);
    MultiplyAdd<0, 4, 6>();
    if constexpr (kTwoColumns) {
      LoadTile<7>(weights + kTile, kPanelBytes);
      MultiplyAdd<1, 4, 7>();
    }
    if constexpr (kTwoRows) {
      LoadTile<5>(x + kTile * x_stride + k, x_bytes);
      MultiplyAdd<2, 5, 6>();
    }
    if constexpr (kTwoRows && kTwoColumns) MultiplyAdd<3, 5, 7>();
    before.Do(rows_per_step);
  }
}

template <int kRowTiles, int kColumnTiles>
inline void StoreSums(float* y, ptrdiff_t stride) {
  constexpr bool kTwoRows = kRowTiles > 1;
  constexpr bool kTwoColumns = kColumnTiles > 1;
  StoreTile<0>(y, 4 * stride);
  if constexpr (kTwoColumns) StoreTile<1>(y + kTile, 4 * stride);
  if constexpr (kTwoRows) StoreTile<2>(y + kTile * stride, 4 * stride);
  if constexpr (kTwoRows && kTwoColumns) StoreTile<3>(y + kTile * stride + kTile, 4 * stride);
}

// All blocks of the layer, panel by panel: a panel's weights stay in the first cache for all rows.
template <bool kHidden>
class LayerOfTiles {
 public:
  LayerOfTiles(int units, const uint32_t* x, int x_stride, uint32_t* y, int y_stride)
      : units_(units), x_(x), x_stride_(x_stride), y_(y), y_stride_(y_stride) {}

  void Run(int rows, const float* packed, int outputs) {
    int place = 0;
    for (; place + kTile < outputs; place += kBlock, packed += kBlock * (units_ + 1)) {
      Panel<2>(rows, packed, place);
    }
    if (place < outputs) Panel<1>(rows, packed, place);
    before_.Do(kBlock);
  }

 private:
  template <int kColumnTiles>
  void Panel(int rows, const float* panel, int place) {
    int row = 0;
    for (; row + kTile < rows; row += kBlock) Block<2, kColumnTiles>(row, panel, place);
    if (row < rows) Block<1, kColumnTiles>(row, panel, place);
  }

  template <int kRowTiles, int kColumnTiles>
  void Block(int row, const float* panel, int place) {
    const uint32_t* x = x_ + row * x_stride_;
    uint32_t* y = y_ + row * y_stride_ + (kHidden ? place / 2 : place);
    Products<kRowTiles, kColumnTiles>(units_, x, x_stride_, panel, before_);
    if constexpr (kHidden) {
      float* sums = sums_[turn_];
      turn_ = 1 - turn_;
      StoreSums<kRowTiles, kColumnTiles>(sums, kBlock);
      if constexpr (kColumnTiles == 1) {  // the units beside are padding
        for (int r = 0; r < kRowTiles * kTile; ++r) {
          _mm512_store_ps(sums + r * kBlock + kTile, _mm512_setzero_ps());
        }
      }
      before_ = {.sums = sums, .y = y, .stride = y_stride_, .rows = kRowTiles * kTile};
    } else {
      StoreSums<kRowTiles, kColumnTiles>(reinterpret_cast<float*>(y), y_stride_);
    }
  }

  int units_;
  const uint32_t* x_;
  ptrdiff_t x_stride_;
  uint32_t* y_;
  ptrdiff_t y_stride_;
  Activation before_;
  int turn_ = 0;
  alignas(64) float sums_[2][kBlock * kBlock];
};

template <bool kHidden>
void TileLayer(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
               void* y, int y_stride) {
  Configure();
  LayerOfTiles<kHidden>(units, static_cast<const uint32_t*>(x), x_stride, static_cast<uint32_t*>(y),
                        y_stride)
      .Run(rows, packed, outputs);
  Release();
}

}  // namespace
#endif

const FusedLayerKernel* FusedLayerAmx() {
#ifdef __AMX_BF16__
  static constexpr FusedLayerKernel kKernel = {.name = "amx_bf16",
                                               .lanes = kTile,
                                               .panel = kBlock,
                                               .bf16 = true,
                                               .unit_block = kTile,
                                               .row_block = kTile,
                                               .hidden = &TileLayer<true>,
                                               .output = &TileLayer<false>,
                                               .split = &SplitInputs,
                                               .deviation = &Deviations<Avx512Bf16>};
  if (ProcessorHasAmxBf16()) return &kKernel;
#endif
  return nullptr;
}

}  // namespace foreplan

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

// How rows hold numbers: pairs rounded to bf16.
struct Rounded {
  static constexpr const char* kName = "amx_bf16";
  static constexpr UnitNumbers kNumbers = UnitNumbers::kRoundedPairs;
  static constexpr int kPlanes = Planes(kNumbers);
  static constexpr int kProducts = 1;

  static __m512 Swish(__m512 z) { return Avx512Bf16::Swish(z); }
  // plane: units between planes of a row.
  static void Store(__m512 low, __m512 high, uint32_t* y, ptrdiff_t /*plane*/) {
    _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
};

// Pairs of floats, each the sum of three bf16 numbers: cut off after 8 bits, what is left after 8
// more, and the last 8 are exact.
struct Exact {
  static constexpr const char* kName = "amx_f32";
  static constexpr UnitNumbers kNumbers = UnitNumbers::kExactPairs;
  static constexpr int kPlanes = Planes(kNumbers);
  static constexpr int kProducts = 6;

  static __m512 Swish(__m512 z) { return Avx512F32::Swish(z); }
  static void Store(__m512 low, __m512 high, uint32_t* y, ptrdiff_t plane) {
    const __m512i mask = _mm512_set1_epi32(-0x10000);
    for (int i = 0; i < kPlanes; ++i, y += plane) {
      const __m512i low_bits = _mm512_castps_si512(low);
      const __m512i high_bits = _mm512_castps_si512(high);
      constexpr int kChoose = 0xCA;  // mask ? high : low
      _mm512_storeu_si512(
          y, _mm512_ternarylogic_epi32(mask, high_bits, _mm512_srli_epi32(low_bits, 16), kChoose));
      low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_and_si512(low_bits, mask)));
      high = _mm512_sub_ps(high, _mm512_castsi512_ps(_mm512_and_si512(high_bits, mask)));
    }
  }
};

// What is left to do for a block whose sums are known: y = swish(sums) as units. It is done a few
// rows at a time between the products of the next block, so that neither waits for the other.
template <typename Format>
struct Activation {
  const float* sums = nullptr;  // [rows x kBlock]
  uint32_t* y = nullptr;        // [rows x stride units]
  ptrdiff_t stride = 0;
  int rows = 0;

  void Do(int count) {
    for (; rows > 0 && count > 0; --rows, --count, sums += kBlock, y += stride) {
      Format::Store(Format::Swish(_mm512_load_ps(sums)),
                    Format::Swish(_mm512_load_ps(sums + kTile)), y, stride / Format::kPlanes);
    }
  }
};

// Tiles 0-3, kRowTiles x kColumnTiles of sums, and what is multiplied into them.
template <int kRowTiles, int kColumnTiles>
struct Sums {
  static constexpr bool kTwoRows = kRowTiles > 1;
  static constexpr bool kTwoColumns = kColumnTiles > 1;

  static void LoadBiases(const float* panel) {
    LoadTile<0>(panel, 0);  // a stride of 0: the same biases in all 16 rows
    if constexpr (kTwoColumns) LoadTile<1>(panel + kTile, 0);
    if constexpr (kTwoRows) LoadTile<2>(panel, 0);
    if constexpr (kTwoRows && kTwoColumns) LoadTile<3>(panel + kTile, 0);
  }
  static void LoadX(const uint32_t* x, ptrdiff_t stride) {
    LoadTile<4>(x, 4 * stride);
    if constexpr (kTwoRows) LoadTile<5>(x + kTile * stride, 4 * stride);
  }
  static void LoadWeights(const float* weights) {
    LoadTile<6>(weights, 64 * kColumnTiles);
    if constexpr (kTwoColumns) LoadTile<7>(weights + kTile, 64 * kColumnTiles);
  }
  static void AddProducts() {
    MultiplyAdd<0, 4, 6>();
    if constexpr (kTwoColumns) MultiplyAdd<1, 4, 7>();
    if constexpr (kTwoRows) MultiplyAdd<2, 5, 6>();
    if constexpr (kTwoRows && kTwoColumns) MultiplyAdd<3, 5, 7>();
  }
  static void Store(float* y, ptrdiff_t stride) {
    StoreTile<0>(y, 4 * stride);
    if constexpr (kTwoColumns) StoreTile<1>(y + kTile, 4 * stride);
    if constexpr (kTwoRows) StoreTile<2>(y + kTile * stride, 4 * stride);
    if constexpr (kTwoRows && kTwoColumns) StoreTile<3>(y + kTile * stride + kTile, 4 * stride);
  }
};

// Tiles 0-3 = bias + x panel.
template <typename Format, int kRowTiles, int kColumnTiles>
inline void Products(int units, const uint32_t* x, ptrdiff_t x_stride, const float* panel,
                     Activation<Format>& before) {
  using Tiles = Sums<kRowTiles, kColumnTiles>;
  const int steps = Format::kProducts * units / kTile;
  const int rows_per_step = (before.rows + steps - 1) / steps;
  Tiles::LoadBiases(panel);
  const float* weights = panel + kColumnTiles * kTile;
  const ptrdiff_t x_plane = x_stride / Format::kPlanes;
  const ptrdiff_t plane = static_cast<ptrdiff_t>(units) * kColumnTiles * kTile;
  for (int k = 0; k < units; k += kTile, weights += kTile * kColumnTiles * kTile) {
    const auto load_x = [&](int i) { Tiles::LoadX(x + k + i * x_plane, x_stride); };
    const auto load_weights = [&](int j) { Tiles::LoadWeights(weights + j * plane); };
    const auto add_products = [&] {
      Tiles::AddProducts();
      before.Do(rows_per_step);
    };
    if constexpr (Format::kPlanes == 1) {
      load_x(0);
      load_weights(0);
      add_products();
    } else {
      // x_i w_j for i + j <= 2, the others are below 2^-24 of the product; one load between two.
      load_x(2);
      load_weights(0);
      add_products();
      load_x(1);
      add_products();
      load_weights(1);
      add_products();
      load_x(0);
      add_products();
      load_weights(2);
      add_products();
      load_weights(0);
      add_products();
    }
  }
}

// All blocks of the layer, row by row of them: a row of blocks keeps its x in the first cache for
// all panels.
template <typename Format, bool kHidden>
class LayerOfTiles {
 public:
  LayerOfTiles(int units, const uint32_t* x, int x_stride, uint32_t* y, int y_stride)
      : units_(units), x_(x), x_stride_(x_stride), y_(y), y_stride_(y_stride) {}

  void Run(int rows, const float* packed, int outputs) {
    int row = 0;
    for (; row + kTile < rows; row += kBlock) Panels<2>(row, packed, outputs);
    if (row < rows) Panels<1>(row, packed, outputs);
    before_.Do(kBlock);
  }

 private:
  template <int kRowTiles>
  void Panels(int row, const float* packed, int outputs) {
    int place = 0;
    for (; place + kTile < outputs; place += kBlock) {
      Block<kRowTiles, 2>(row, packed, place);
      packed += kBlock * (Format::kPlanes * units_ + 1);
    }
    if (place < outputs) Block<kRowTiles, 1>(row, packed, place);
  }

  template <int kRowTiles, int kColumnTiles>
  void Block(int row, const float* panel, int place) {
    const uint32_t* x = x_ + row * x_stride_;
    uint32_t* y = y_ + row * y_stride_ + (kHidden ? place / 2 : place);
    Products<Format, kRowTiles, kColumnTiles>(units_, x, x_stride_, panel, before_);
    using Tiles = Sums<kRowTiles, kColumnTiles>;
    if constexpr (kHidden) {
      float* sums = sums_[turn_];
      turn_ = 1 - turn_;
      Tiles::Store(sums, kBlock);
      if constexpr (kColumnTiles == 1) {  // the units beside are padding
        for (int r = 0; r < kRowTiles * kTile; ++r) {
          _mm512_store_ps(sums + r * kBlock + kTile, _mm512_setzero_ps());
        }
      }
      before_ = {.sums = sums, .y = y, .stride = y_stride_, .rows = kRowTiles * kTile};
    } else {
      Tiles::Store(reinterpret_cast<float*>(y), y_stride_);
    }
  }

  int units_;
  const uint32_t* x_;
  ptrdiff_t x_stride_;
  uint32_t* y_;
  ptrdiff_t y_stride_;
  Activation<Format> before_;
  int turn_ = 0;
  alignas(64) float sums_[2][kBlock * kBlock];
};

template <typename Format, bool kHidden>
void TileLayer(int rows, int units, const void* x, int x_stride, const float* packed, int outputs,
               void* y, int y_stride) {
  Configure();
  LayerOfTiles<Format, kHidden>(units, static_cast<const uint32_t*>(x), x_stride,
                                static_cast<uint32_t*>(y), y_stride)
      .Run(rows, packed, outputs);
  Release();
}

// Inputs as units of three planes.
void SplitExactly(int rows, int inputs, const float* x, uint32_t* units, int stride) {
  const int plane = stride / Exact::kPlanes;
  for (int row = 0; row < rows; ++row, x += inputs, units += stride) {
    for (int first = 0; first < plane; first += kTile) {
      const int left = inputs - 2 * first;
      const auto part = [left](int from) { return left < from ? 0 : left - from; };
      Exact::Store(Avx512::LoadPart(x + 2 * first, part(0)),
                   Avx512::LoadPart(x + 2 * first + kTile, part(kTile)), units + first, plane);
    }
  }
}

template <typename Format>
const FusedLayerKernel* TileKernel() {
  static constexpr FusedLayerKernel kKernel = {
      .name = Format::kName,
      .lanes = kTile,
      .panel = kBlock,
      .numbers = Format::kNumbers,
      .unit_block = kTile,
      .row_block = kTile,
      .hidden = &TileLayer<Format, true>,
      .output = &TileLayer<Format, false>,
      .split = Format::kNumbers == UnitNumbers::kExactPairs ? &SplitExactly : &SplitInputs,
      .deviation = &Deviations<Avx512Bf16>};
  return ProcessorHasAmxBf16() ? &kKernel : nullptr;
}

}  // namespace

const FusedLayerKernel* FusedLayerAmx() { return TileKernel<Rounded>(); }
const FusedLayerKernel* FusedLayerAmxF32() { return TileKernel<Exact>(); }
#else
const FusedLayerKernel* FusedLayerAmx() { return nullptr; }
const FusedLayerKernel* FusedLayerAmxF32() { return nullptr; }
#endif

}  // namespace foreplan

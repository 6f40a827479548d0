// Normals in batches, from blocks of Philox side by side in lanes. Internal to core/.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "foreplan/core/lanes.h"
#include "foreplan/core/random.h"

namespace foreplan {

inline constexpr uint32_t kPhiloxM0 = 0xD2511F53;
inline constexpr uint32_t kPhiloxM1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9;
inline constexpr uint32_t kPhiloxW1 = 0xBB67AE85;

/// FillNormalBatch for AVX-512; null where this build or this processor lacks it.
using FillNormalBatchFunction = void (*)(Key key, uint64_t index, size_t wanted, double* to);
FillNormalBatchFunction WideFillNormalBatch();

inline namespace FOREPLAN_LANES_NAMESPACE {

using Words = Lanes::Words;

/// Full products of the low halves.
inline Words MultiplyLow(const Words& a, uint32_t b) {
#if defined(FOREPLAN_WIDE_LANES)
  return reinterpret_cast<Words>(
      _mm512_mul_epu32(reinterpret_cast<__m512i>(a), _mm512_set1_epi64(b)));
#elif defined(__AVX2__)
  static_assert(sizeof(Words) == sizeof(__m256i));
  return reinterpret_cast<Words>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#else
  return (a & 0xFFFFFFFF) * uint64_t{b};
#endif
}

#if defined(FOREPLAN_WIDE_LANES)
inline constexpr Words kLaneNumbers = {0, 1, 2, 3, 4, 5, 6, 7};
#elif defined(__AVX__)
inline constexpr Words kLaneNumbers = {0, 1, 2, 3};
#else
inline constexpr Words kLaneNumbers = {0, 1};
#endif

/// Blocks first_index ... first_index + kBlocks - 1, kLanes of them side by side; the words of a
/// block stand in the low halves of the four results.
template <size_t kBlocks>
std::array<std::array<Words, 4>, kBlocks / kLanes> PhiloxBlocks(Key key, uint64_t first_index) {
  // High halves hold leftovers: products and what is read in the end take the low ones only.
  std::array<std::array<Words, 4>, kBlocks / kLanes> counters;
  const Words zero{};
  Words index = kLaneNumbers + first_index;
  for (std::array<Words, 4>& counter : counters) {
    counter = {index, index >> 32, zero + key.stream, zero + (key.stream >> 32)};
    index += uint64_t{kLanes};
  }
  Words key0 = zero + key.seed;
  Words key1 = zero + (key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::array<Words, 4>& counter : counters) {
      const Words product0 = MultiplyLow(counter[0], kPhiloxM0);
      const Words product1 = MultiplyLow(counter[2], kPhiloxM1);
      counter = {(product1 >> 32) ^ counter[1] ^ key0, product1,
                 (product0 >> 32) ^ counter[3] ^ key1, product0};
    }
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  return counters;
}

/// The 53 high bits of (high, low) as a number in [0, 1), as Uniform.
inline Lanes UniformOf(const Words& high, const Words& low) {
  // (high * 2^32 + low) >> 11 = high * 2^21 + (low >> 11), each part exact in a double.
  constexpr uint64_t kTwo52 = std::bit_cast<uint64_t>(0x1p52);
  const Words high_bits = (high & 0xFFFFFFFF) | kTwo52;
  const Words low_bits = ((low & 0xFFFFFFFF) >> 11) | kTwo52;
  return (Lanes::FromWords(high_bits) - Lanes(0x1p52)) * Lanes(0x1p-32) +
         (Lanes::FromWords(low_bits) - Lanes(0x1p52)) * Lanes(0x1p-53);
}

/// Two normals from each of the blocks from `index` on: [2 kBlocks].
template <size_t kBlocks>
void FillNormalsOfBlocks(Key key, uint64_t index, double* to) {
  for (const auto& words : PhiloxBlocks<kBlocks>(key, index)) {
    // As in Random::Normal, of which Bits64 gives the upper half of a block first.
    const Lanes log = Lanes::LogOfNormal(Lanes(1.0) - UniformOf(words[2], words[3]));
    const Lanes radius = Lanes::Root(Lanes(-2.0) * log);
    Lanes sine;
    Lanes cosine;
    Lanes::SinCosOfTurns(UniformOf(words[0], words[1]), sine, cosine);
    Lanes::StorePairs(radius * cosine, radius * sine, to);
    to += 2 * kLanes;
  }
}

/// At least `wanted` normals or Random::kBatch, whatever is less; the more at once, the less each
/// waits for its operations' results.
inline void FillNormalBatch(Key key, uint64_t index, size_t wanted, double* to) {
  constexpr size_t kMost = Random::kBatch / 2;
  if (wanted <= kMost) return FillNormalsOfBlocks<kMost / 2>(key, index, to);
  FillNormalsOfBlocks<kMost>(key, index, to);
}

}  // namespace FOREPLAN_LANES_NAMESPACE
}  // namespace foreplan

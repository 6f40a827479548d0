#include "foreplan/core/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

#include "foreplan/core/lanes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace foreplan {
namespace {

constexpr uint32_t kPhiloxM0 = 0xD2511F53;
constexpr uint32_t kPhiloxM1 = 0xCD9E8D57;
constexpr uint32_t kPhiloxW0 = 0x9E3779B9;
constexpr uint32_t kPhiloxW1 = 0xBB67AE85;
constexpr uint64_t kFoldDomain = uint64_t{1} << 63;  // blocks that only Fold reads

std::array<uint32_t, 4> PhiloxBlock(std::array<uint32_t, 4> counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{kPhiloxM0} * counter[0];
    const uint64_t product1 = uint64_t{kPhiloxM1} * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  return counter;
}

using Words = Lanes::Words;

/// Full products of the low halves.
Words MultiplyLow(const Words& a, uint32_t b) {
#if defined(__AVX2__)
  static_assert(sizeof(Words) == sizeof(__m256i));
  return reinterpret_cast<Words>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#else
  return (a & 0xFFFFFFFF) * uint64_t{b};
#endif
}

#if defined(__AVX__)
constexpr Words kLaneNumbers = {0, 1, 2, 3};
#else
constexpr Words kLaneNumbers = {0, 1};
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
Lanes UniformOf(const Words& high, const Words& low) {
  // (high * 2^32 + low) >> 11 = high * 2^21 + (low >> 11), each part exact in a double.
  constexpr uint64_t kTwo52 = std::bit_cast<uint64_t>(0x1p52);
  const Words high_bits = (high & 0xFFFFFFFF) | kTwo52;
  const Words low_bits = ((low & 0xFFFFFFFF) >> 11) | kTwo52;
  return (Lanes::FromWords(high_bits) - Lanes(0x1p52)) * Lanes(0x1p-32) +
         (Lanes::FromWords(low_bits) - Lanes(0x1p52)) * Lanes(0x1p-53);
}

uint64_t Join(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }

}  // namespace

std::array<uint32_t, 4> Philox(Key key, uint64_t index) {
  return PhiloxBlock({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                      static_cast<uint32_t>(key.stream), static_cast<uint32_t>(key.stream >> 32)},
                     static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32));
}

namespace {

Key BlockAsKey(Key key, uint64_t index) {
  const auto block = Philox(key, index);
  return {Join(block[0], block[1]), Join(block[2], block[3])};
}

}  // namespace

// Two blocks, so that all 64 bits of `data` enter: the first mixes the key, the second the data.
KeyFamily::KeyFamily(Key parent) : mixed_(BlockAsKey(parent, kFoldDomain)) {}

Key KeyFamily::operator[](uint64_t data) const { return BlockAsKey(mixed_, data); }

Key Key::Fold(uint64_t data) const { return KeyFamily(*this)[data]; }

uint64_t Random::Bits64() {
  if (left_ == 0) {
    block_ = Philox(key_, index_++);
    left_ = 4;
  }
  left_ -= 2;
  return Join(block_[static_cast<size_t>(left_)], block_[static_cast<size_t>(left_) + 1]);
}

double Random::Uniform() { return static_cast<double>(Bits64() >> 11) * 0x1.0p-53; }

uint64_t Random::Below(uint64_t count) {
  // Rejection of the incomplete last interval keeps every value equally likely.
  const uint64_t limit = ~uint64_t{0} - (~uint64_t{0} % count + 1) % count;
  uint64_t bits = Bits64();
  while (bits > limit) bits = Bits64();
  return bits % count;
}

double Random::Normal() {
  if (has_spare_normal_) {
    has_spare_normal_ = false;
    return spare_normal_;
  }
  // Box-Muller: r = sqrt(-2 log u1), angle = 2 pi u2, with u1 in (0, 1].
  const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
  const double angle = 2.0 * std::numbers::pi * Uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_normal_ = true;
  return radius * std::cos(angle);
}

double Random::TruncatedNormal() {
  double value = Normal();
  while (std::abs(value) > 2.0) value = Normal();
  return value;
}

Random::NormalBatch Random::PeekNormals() const {
  NormalBatch batch;
  double* to = batch.data();
  for (const auto& words : PhiloxBlocks<kBatch / 2>(key_, index_)) {
    // As in Normal, of which Bits64 gives the upper half of a block first.
    const Lanes log = Lanes::LogOfNormal(Lanes(1.0) - UniformOf(words[2], words[3]));
    const Lanes radius = sqrt(Lanes(-2.0) * log);
    Lanes sine;
    Lanes cosine;
    Lanes::SinCosOfTurns(UniformOf(words[0], words[1]), sine, cosine);
    Lanes::StorePairs(radius * cosine, radius * sine, to);
    to += 2 * kLanes;
  }
  return batch;
}

void Random::TakeNormals(size_t count, const NormalBatch& batch) {
  index_ += (count + 1) / 2;
  has_spare_normal_ = count % 2 != 0;
  if (has_spare_normal_) spare_normal_ = batch[count];
}

void Random::FillNormal(std::span<double> values) {
  size_t filled = 0;
  // Within a block that other draws have begun, and for the second of a pair: one by one.
  while (filled < values.size() && (left_ != 0 || has_spare_normal_)) values[filled++] = Normal();
  while (filled < values.size()) {
    const NormalBatch batch = PeekNormals();
    const size_t taken = std::min(kBatch, values.size() - filled);
    if (taken == kBatch) {
      std::copy_n(batch.begin(), kBatch, &values[filled]);
    } else {
      std::copy_n(batch.begin(), taken, &values[filled]);
    }
    TakeNormals(taken, batch);
    filled += taken;
  }
}

void Random::FillTruncatedNormal(std::span<double> values) {
  size_t filled = 0;
  while (filled < values.size() && (left_ != 0 || has_spare_normal_)) {
    values[filled++] = TruncatedNormal();
  }
  while (filled < values.size()) {
    const NormalBatch batch = PeekNormals();
    size_t taken = 0;
    while (taken < kBatch && filled < values.size()) {
      values[filled] = batch[taken++];
      filled += std::abs(values[filled]) <= 2.0 ? 1 : 0;
    }
    TakeNormals(taken, batch);
  }
}

}  // namespace foreplan

#include "foreplan/core/random.h"

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

/// kLanes blocks at once; the words of a block stand in the low halves of the four results.
std::array<Words, 4> PhiloxBlocks(Key key, uint64_t first_index) {
  constexpr uint64_t kLow = 0xFFFFFFFF;
  Words index;
  for (int i = 0; i < kLanes; ++i) index[i] = first_index + static_cast<uint64_t>(i);
  const Words zero{};
  std::array<Words, 4> counter = {index & kLow, index >> 32, zero + (key.stream & kLow),
                                  zero + (key.stream >> 32)};
  auto key0 = static_cast<uint32_t>(key.seed);
  auto key1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Words product0 = MultiplyLow(counter[0], kPhiloxM0);
    const Words product1 = MultiplyLow(counter[2], kPhiloxM1);
    counter = {(product1 >> 32) ^ (counter[1] & kLow) ^ uint64_t{key0}, product1,
               (product0 >> 32) ^ (counter[3] & kLow) ^ uint64_t{key1}, product0};
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  return counter;
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
  constexpr size_t kBlocks = kBatch / 2;
  NormalBatch batch;
  for (size_t block = 0; block < kBlocks; block += kLanes) {
    const auto words = PhiloxBlocks(key_, index_ + block);
    // As in Normal, of which Bits64 gives the upper half of a block first.
    const Lanes log = Lanes::LogOfNormal(Lanes(1.0) - UniformOf(words[2], words[3]));
    const Lanes radius = sqrt(Lanes(-2.0) * log);
    Lanes sine;
    Lanes cosine;
    Lanes::SinCos(Lanes(2.0 * std::numbers::pi) * UniformOf(words[0], words[1]), sine, cosine);
    (radius * cosine).Store(&batch[2 * block], 2);
    (radius * sine).Store(&batch[2 * block + 1], 2);
  }
  return batch;
}

void Random::TakeNormals(size_t count, const NormalBatch& batch) {
  index_ += (count + 1) / 2;
  has_spare_normal_ = count % 2 != 0;
  if (has_spare_normal_) spare_normal_ = batch[count];
}

template <typename Keep>
void Random::FillFromBatches(std::span<double> values, Keep&& keep) {
  size_t filled = 0;
  const auto offer = [&](double value) {
    values[filled] = value;
    if (keep(value)) ++filled;
  };
  // Within a block that other draws have begun, and for the second of a pair: one by one.
  while (filled < values.size() && (left_ != 0 || has_spare_normal_)) offer(Normal());
  while (filled < values.size()) {
    const NormalBatch batch = PeekNormals();
    size_t taken = 0;
    while (taken < kBatch && filled < values.size()) offer(batch[taken++]);
    TakeNormals(taken, batch);
  }
}

void Random::FillNormal(std::span<double> values) {
  FillFromBatches(values, [](double) { return true; });
}

void Random::FillTruncatedNormal(std::span<double> values) {
  FillFromBatches(values, [](double value) { return std::abs(value) <= 2.0; });
}

}  // namespace foreplan

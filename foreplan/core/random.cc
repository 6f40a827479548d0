#include "foreplan/core/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

#include "foreplan/core/normal_batch.h"

namespace foreplan {
namespace {

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

Random::NormalBatch Random::PeekNormals(size_t wanted) const {
  static const FillNormalBatchFunction fill =
      WideFillNormalBatch() != nullptr ? WideFillNormalBatch() : &FillNormalBatch;
  NormalBatch batch;
  fill(key_, index_, wanted, batch.data());
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
    const size_t wanted = values.size() - filled;
    const NormalBatch batch = PeekNormals(wanted);
    const size_t taken = std::min(kBatch, wanted);
    std::copy_n(batch.begin(), taken, &values[filled]);
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
    const NormalBatch batch = PeekNormals(kBatch);
    size_t taken = 0;
    while (taken < kBatch && filled < values.size()) {
      values[filled] = batch[taken++];
      filled += std::abs(values[filled]) <= 2.0 ? 1 : 0;
    }
    TakeNormals(taken, batch);
  }
}

}  // namespace foreplan

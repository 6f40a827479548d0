#include "foreplan/core/random.h"

#include <cmath>
#include <numbers>
#include <utility>

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

uint64_t Join(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }

}  // namespace

std::array<uint32_t, 4> Philox(Key key, uint64_t index) {
  return PhiloxBlock({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                      static_cast<uint32_t>(key.stream), static_cast<uint32_t>(key.stream >> 32)},
                     static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32));
}

Key Key::Fold(uint64_t data) const {
  // Two blocks, so that all 64 bits of `data` enter: the first mixes the key, the second the data.
  const auto mixed = Philox(*this, kFoldDomain);
  const auto block = Philox({Join(mixed[0], mixed[1]), Join(mixed[2], mixed[3])}, data);
  return {Join(block[0], block[1]), Join(block[2], block[3])};
}

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

void Random::FillNormal(std::span<double> values) {
  for (double& value : values) value = Normal();
}

double Random::TruncatedNormal() {
  double value = Normal();
  while (std::abs(value) > 2.0) value = Normal();
  return value;
}

}  // namespace foreplan

// Counter-based random numbers: a number is a function of (key, index) and of nothing else, so
// results do not depend on threads, on order, or on what was drawn before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace foreplan {

/// Names one stream of random numbers. Derive a key per purpose: `key.Fold(episode).Fold(step)`.
struct Key {
  uint64_t seed = 0;
  uint64_t stream = 0;

  /// A key that is statistically independent of this one and of every other `Fold(other)`.
  [[nodiscard]] Key Fold(uint64_t data) const;

  friend bool operator==(const Key&, const Key&) = default;
};

/// `parent.Fold(data)` for many values of `data`, at half the cost each.
class KeyFamily {
 public:
  explicit KeyFamily(Key parent);
  [[nodiscard]] Key operator[](uint64_t data) const;

 private:
  Key mixed_;
};

/// Philox 4x32-10 (Salmon et al. 2011): 128 random bits for block `index` of `key`.
std::array<uint32_t, 4> Philox(Key key, uint64_t index);

/// Reads the numbers of one key in order. Cheap to make; copy it to read the same numbers again.
class Random {
 public:
  static constexpr size_t kBatch = 32;  // most normals that are made together

  explicit Random(Key key) : key_(key) {}

  uint64_t Bits64();
  /// Uniform in [0, 1), 53 bits.
  double Uniform();
  /// Uniform in [low, high); rounding may give `high` itself.
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  /// Uniform in {0, ..., count - 1}; count >= 1.
  uint64_t Below(uint64_t count);
  /// Standard normal (Box-Muller).
  double Normal();
  /// What as many calls of Normal would give, several at a time: equal but for rounding (1e-14).
  void FillNormal(std::span<double> values);
  /// Standard normal conditioned on |z| <= 2 (rejection; what PETS' truncated normal draws).
  double TruncatedNormal();
  /// What as many calls of TruncatedNormal would give, as FillNormal.
  void FillTruncatedNormal(std::span<double> values);
  /// Fisher-Yates.
  template <typename T>
  void Shuffle(std::span<T> values) {
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[Below(i)]);
    }
  }

 private:
  using NormalBatch = std::array<double, kBatch>;

  /// The next `wanted` normals, or kBatch of them; none is taken yet.
  [[nodiscard]] NormalBatch PeekNormals(size_t wanted) const;
  /// Moves past the first `count` of them.
  void TakeNormals(size_t count, const NormalBatch& batch);

  Key key_;
  uint64_t index_ = 0;
  std::array<uint32_t, 4> block_{};
  int left_ = 0;  // 32-bit words of block_ not yet used
  double spare_normal_ = 0;
  bool has_spare_normal_ = false;
};

}  // namespace foreplan

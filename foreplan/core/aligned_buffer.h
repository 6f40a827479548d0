// Zeroed doubles at the start of a cache line.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

namespace foreplan {

/// For matrices whose padded rows are read as vectors. Its memory does not move when the buffer
/// does. Allocates only in the constructor.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size)
      : values_(new(std::align_val_t{kAlignment}) double[std::max<size_t>(size, 1)]()) {}

  [[nodiscard]] double* data() const { return values_.get(); }

 private:
  static constexpr size_t kAlignment = 64;  // bytes
  struct Delete {
    void operator()(double* values) const {
      operator delete[](values, std::align_val_t{kAlignment});
    }
  };
  std::unique_ptr<double[], Delete> values_;
};

}  // namespace foreplan

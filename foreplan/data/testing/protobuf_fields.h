// Messages of protocol buffers taken apart again, as tests look at them.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace foreplan {

/// The fields of a message by number, in their order: numbers as they stand on the wire, and bytes.
struct ProtobufFields {
  explicit ProtobufFields(std::string_view bytes) {
    while (!bytes.empty()) {
      const uint64_t key = Varint(bytes);
      const auto field = static_cast<int>(key >> 3);
      if ((key & 7) == 0) numbers[field].push_back(Varint(bytes));
      if ((key & 7) == 1) numbers[field].push_back(Fixed(bytes, 8));
      if ((key & 7) == 5) numbers[field].push_back(Fixed(bytes, 4));
      if ((key & 7) == 2) {
        const uint64_t size = Varint(bytes);
        texts[field].emplace_back(Take(bytes, size));
      }
    }
  }

  /// The only one of that number; 0 or "" where there is none.
  [[nodiscard]] uint64_t Number(int field) const {
    return numbers.contains(field) ? numbers.at(field).at(0) : 0;
  }
  [[nodiscard]] std::string Text(int field) const {
    return texts.contains(field) ? texts.at(field).at(0) : "";
  }
  [[nodiscard]] std::vector<std::string> Texts(int field) const {
    return texts.contains(field) ? texts.at(field) : std::vector<std::string>();
  }
  [[nodiscard]] std::vector<int64_t> Numbers(int field) const {
    if (!numbers.contains(field)) return {};
    return {numbers.at(field).begin(), numbers.at(field).end()};
  }

  std::map<int, std::vector<uint64_t>> numbers;
  std::map<int, std::vector<std::string>> texts;

 private:
  static std::string_view Take(std::string_view& bytes, uint64_t count) {
    if (count > bytes.size()) throw std::runtime_error("a message that is cut off");
    const std::string_view taken = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return taken;
  }
  static uint64_t Fixed(std::string_view& bytes, size_t count) {
    uint64_t value = 0;
    std::memcpy(&value, Take(bytes, count).data(), count);
    return value;
  }
  static uint64_t Varint(std::string_view& bytes) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(Take(bytes, 1)[0]);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
  }
};

}  // namespace foreplan

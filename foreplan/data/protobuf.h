// Messages of protocol buffers on the wire, for the few formats of others that foreplan writes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foreplan {

/// A message in the making, field by field: a key (field number and wire type), then the value
/// (protocol buffers, "Encoding"). Equal calls give equal bytes.
class ProtobufMessage {
 public:
  /// int64, uint64, enumerations; negative numbers take ten bytes.
  ProtobufMessage& Varint(int field, int64_t value);
  ProtobufMessage& Double(int field, double value);
  ProtobufMessage& Float(int field, float value);
  /// Text, bytes, packed numbers.
  ProtobufMessage& Bytes(int field, std::string_view bytes);
  ProtobufMessage& Message(int field, const ProtobufMessage& message) {
    return Bytes(field, message.bytes());
  }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Appends the lowest so many bytes, the lowest first.
void AppendLittleEndian(uint64_t value, int bytes, std::string& to);

}  // namespace foreplan

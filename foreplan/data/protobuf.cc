#include "foreplan/data/protobuf.h"

#include <bit>

namespace foreplan {
namespace {

enum Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void AppendVarint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>((value & 0x7FU) | 0x80U);
  to += static_cast<char>(value);
}

void AppendKey(int field, Wire wire, std::string& to) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | wire, to);
}

}  // namespace

ProtobufMessage& ProtobufMessage::Varint(int field, int64_t value) {
  AppendKey(field, kVarint, bytes_);
  AppendVarint(static_cast<uint64_t>(value), bytes_);
  return *this;
}

ProtobufMessage& ProtobufMessage::Double(int field, double value) {
  AppendKey(field, kFixed64, bytes_);
  AppendLittleEndian(std::bit_cast<uint64_t>(value), 8, bytes_);
  return *this;
}

ProtobufMessage& ProtobufMessage::Float(int field, float value) {
  AppendKey(field, kFixed32, bytes_);
  AppendLittleEndian(std::bit_cast<uint32_t>(value), 4, bytes_);
  return *this;
}

ProtobufMessage& ProtobufMessage::Bytes(int field, std::string_view bytes) {
  AppendKey(field, kBytes, bytes_);
  AppendVarint(bytes.size(), bytes_);
  bytes_ += bytes;
  return *this;
}

void AppendLittleEndian(uint64_t value, int bytes, std::string& to) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xFFU);
}

}  // namespace foreplan

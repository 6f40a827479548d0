#include "foreplan/runs/plain_text.h"

#include <algorithm>
#include <cstdint>

namespace foreplan {
namespace {

constexpr std::string_view kNoCharacter = "\xef\xbf\xbd";  // U+FFFD

struct Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: there is no character
};

/// The character that begins a text (RFC 3629): no longer than needed, no surrogate, at most
/// U+10FFFF.
Character FirstOf(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 ? 4 : (first >= 0xe0 ? 3 : 2);
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {};
  uint32_t code = first & (0x7fU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code = code << 6U | (byte(i) & 0x3fU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kLeast[bytes] || is_surrogate || code > 0x10ffff) return {};
  return {code, bytes};
}

/// C0, DEL and C1 (Unicode's category Cc), lines' and paragraphs' ends, what turns the direction of
/// the text that follows, and the two that XML refuses.
bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xfffe || code == 0xffff;
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

/// Bytes of the first `count` characters.
size_t BytesOf(std::string_view text, size_t count) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (IsContinuation(text[at])) continue;
    if (count == 0) break;
    --count;
  }
  return at;
}

}  // namespace

std::string PlainText(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const Character character = FirstOf(text);
    const bool is_space = character.bytes == 1 && character.code >= 9 && character.code <= 13;
    if (is_space) {
      plain += ' ';
    } else if (character.bytes == 0 || IsControl(character.code)) {
      plain += kNoCharacter;
    } else {
      plain += text.substr(0, character.bytes);
    }
    text.remove_prefix(std::max<size_t>(1, character.bytes));
  }
  return plain;
}

std::string WithoutMiddle(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  size_t begin = bytes / 2;
  size_t end = text.size() - bytes / 2;
  while (begin > 0 && IsContinuation(text[begin])) --begin;
  while (end < text.size() && IsContinuation(text[end])) ++end;
  return std::string(text.substr(0, begin)) + " ... " + std::string(text.substr(end));
}

size_t ColumnsOf(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return !IsContinuation(c); }));
}

std::vector<std::string> WrappedText(std::string_view text, size_t columns) {
  std::vector<std::string> lines;
  columns = std::max<size_t>(1, columns);
  while (ColumnsOf(text) > columns) {
    const size_t most = BytesOf(text, columns);
    const size_t blank = text.substr(0, most + 1).rfind(' ');
    const bool has_blank = blank != std::string_view::npos && blank > 0;
    lines.emplace_back(text.substr(0, has_blank ? blank : most));
    text.remove_prefix(has_blank ? blank + 1 : most);
  }
  lines.emplace_back(text);
  return lines;
}

}  // namespace foreplan

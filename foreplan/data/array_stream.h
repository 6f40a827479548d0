// Arrays as bytes between two processes: records of a kind, a length and so many bytes.
#pragma once

#include <cstdint>

namespace foreplan {

/// Eight bytes of kind, eight of length (both little-endian, as the machine has them), the bytes.
/// Order: kBegin, then per array one kArray and kValues until its shape is filled, then kEnd;
/// kError may stand in place of what would follow.
enum class ArrayRecord : uint64_t {
  kBegin = 0x31'79'61'72'72'61'70'66,  // "fparray1": nothing
  kArray,                              // 8 bytes: dimensions; so many sizes of 8 bytes; the name
  kValues,                             // doubles, row-major, the next of the array
  kError,                              // one line: what was found, what was expected
  kEnd                                 // 8 bytes: how many arrays there were
};

inline constexpr uint64_t kLongestArrayRecord = uint64_t{1} << 24;  // [bytes]

}  // namespace foreplan

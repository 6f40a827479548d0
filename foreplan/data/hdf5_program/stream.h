// Records to standard output, as array_stream.h describes them.
#pragma once

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "foreplan/data/array_stream.h"

namespace foreplan {

inline void WriteAll(const void* bytes, size_t count) {
  const char* at = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = write(STDOUT_FILENO, at, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(1);  // nobody reads
    at += written;
    count -= static_cast<size_t>(written);
  }
}

inline void WriteRecord(ArrayRecord kind, const void* bytes, size_t count) {
  const std::array<uint64_t, 2> head = {static_cast<uint64_t>(kind), count};
  WriteAll(head.data(), sizeof(head));
  WriteAll(bytes, count);
}

}  // namespace foreplan

#include "foreplan/data/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <new>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr int kWindow = 15 + 16;            // of 32 kB; + 16: header and trailer of gzip
constexpr int kMemory = 8;                  // zlib's default
constexpr size_t kBlock = size_t{1} << 18;  // [bytes] that are taken or given at once

using StreamEnd = std::unique_ptr<z_stream, int (*)(z_stream*)>;

/// Hands over the next bytes when those before are used up.
void Feed(std::string_view& bytes, z_stream& stream) {
  if (stream.avail_in > 0) return;
  const size_t count = std::min(bytes.size(), kBlock);
  // zlib does not write there; its type is older than const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(count);
  bytes.remove_prefix(count);
}

/// One call of zlib that appends to `result` what it gives.
template <typename Call>
int Append(std::string& result, z_stream& stream, Call call) {
  const size_t size = result.size();
  result.resize(size + kBlock);
  stream.next_out = reinterpret_cast<Bytef*>(result.data() + size);
  stream.avail_out = static_cast<uInt>(kBlock);
  const int status = call(&stream);
  result.resize(result.size() - stream.avail_out);
  return status;
}

}  // namespace

std::string GzipOf(std::string_view bytes) {
  z_stream stream = {};
  // What is packed are numbers with few repetitions: higher levels take longer and save nothing.
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  const StreamEnd end(&stream, deflateEnd);
  std::string result;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    Feed(bytes, stream);
    const int flush = bytes.empty() ? Z_FINISH : Z_NO_FLUSH;
    status = Append(result, stream, [&](z_stream* z) { return deflate(z, flush); });
  }
  return result;
}

std::string Gunzip(std::string_view bytes, size_t most, const std::string& source) {
  const auto wrong = [&](std::string_view found, std::string_view expected) {
    return InputError(fmt::format("{}: found {}, expected {}", source, found, expected));
  };
  z_stream stream = {};
  if (inflateInit2(&stream, kWindow) != Z_OK) throw std::bad_alloc();
  const StreamEnd end(&stream, inflateEnd);
  std::string result;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    Feed(bytes, stream);
    if (stream.avail_in == 0) throw wrong("a gzip stream that is cut off", "a whole one");
    status = Append(result, stream, [](z_stream* z) { return inflate(z, Z_NO_FLUSH); });
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      throw wrong("no gzip stream, or a damaged one", "a whole one");
    }
    if (result.size() > most) {
      throw wrong(fmt::format("a gzip stream of more than {} bytes", most), "at most so many");
    }
  }
  if (stream.avail_in > 0 || !bytes.empty()) {
    throw wrong("bytes behind the gzip stream", "nothing there");
  }
  return result;
}

}  // namespace foreplan

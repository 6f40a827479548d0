// Gzip: what Python, browsers and shells unpack without more.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace foreplan {

/// A gzip stream of the bytes. It names no file and no time: equal bytes give equal streams.
std::string GzipOf(std::string_view bytes);

/// What a gzip stream holds. Throws InputError naming `source`, what was found and expected, for a
/// stream that is cut off, damaged (checksum, length) or followed by something, and for one that
/// holds more than `most` bytes: no more than that is unpacked.
std::string Gunzip(std::string_view stream, size_t most, const std::string& source);

}  // namespace foreplan

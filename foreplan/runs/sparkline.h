// A curve in one line of text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace foreplan {

enum class Glyphs : uint8_t {
  kUnicode,  // U+2581 to U+2588
  kAscii,    // of the same heights as far as a typewriter goes
};

/// Eight heights from the smallest to the largest value that is shown; equal ones stand in the
/// middle. With more values than `width` a column shows the mean of its share of them, in order. A
/// value that is not finite is a gap: a blank, or left out of its column's mean. min(width, values)
/// characters, none for a width of 0 or less.
[[nodiscard]] std::string Sparkline(std::span<const double> values, int width,
                                    Glyphs glyphs = Glyphs::kUnicode);

}  // namespace foreplan

// A picture for tests of models with files.
#pragma once

namespace foreplan {

/// Grey, 2 x 2; without the 0 at its end.
inline constexpr char kSmallPng[] =
    "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0\xfd\xd4\x9as"
    "\0\0\0\x0fIDATx\x9c"
    "ch\0\x03\x06\x07"
    "0\0\0$\xce\x04\x81\xd5QV\x15\0\0\0\0IEND\xae"
    "B`\x82";

}  // namespace foreplan

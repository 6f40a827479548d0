// Bytes as text, for pages that carry their data.
#pragma once

#include <string>
#include <string_view>

namespace foreplan {

/// RFC 4648, with padding, without line breaks.
std::string Base64Of(std::string_view bytes);

}  // namespace foreplan

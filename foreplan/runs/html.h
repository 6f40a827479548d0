// What pages are made of.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace foreplan {

/// Text as it may stand between tags and in attributes, of HTML and SVG.
[[nodiscard]] std::string EscapedHtml(std::string_view text);

/// Replaces each {{name}} of the page by its value; what is inserted is not looked at again. Throws
/// Error for a name without a value.
[[nodiscard]] std::string FillPage(std::string_view page,
                                   const std::map<std::string_view, std::string>& values);

}  // namespace foreplan

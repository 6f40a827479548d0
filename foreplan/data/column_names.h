// Names and units of the columns of a table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/data/component.h"
#include "foreplan/data/log_options.h"

namespace foreplan {

/// Headers without the unit that ends them in brackets: "x [m]", "x (m)", "x[m]". What is in the
/// brackets must be a unit (ParseUnit), and no other header may begin with the same name: of
/// "force (N)" and "force (left)" both stay whole.
[[nodiscard]] std::vector<Component> SplitUnits(std::span<const std::string> headers);

/// "m" of "[m]", "(m)" and "m".
[[nodiscard]] std::string_view WithoutBrackets(std::string_view text);

/// Gives columns new names. `headers`: as the file has them, [columns]; both they and the present
/// names may be meant. Throws InputError naming `where`: an old name that is none, a new one that
/// there is already.
void Rename(std::string_view where, std::span<const NewName> renames,
            std::span<const std::string> headers, std::vector<Component>& columns);

}  // namespace foreplan

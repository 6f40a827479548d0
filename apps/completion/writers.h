// What is written from the program's description. Each gives a whole file.
#pragma once

#include <string>

#include "apps/completion/description.h"

namespace foreplan::apps {

std::string BashCompletion(const ProgramDescription& program);
std::string ZshCompletion(const ProgramDescription& program);
std::string FishCompletion(const ProgramDescription& program);
/// foreplan.1
std::string ManualPage(const ProgramDescription& program);
/// docs/commands.md
std::string CommandReference(const ProgramDescription& program);

}  // namespace foreplan::apps

// The commands of the program. Each adds itself to the command line and throws what goes wrong;
// main.cc turns that into messages and exit codes.
#pragma once

#include <CLI/CLI.hpp>

namespace foreplan::apps {

void AddListCommand(CLI::App& app);
void AddShowCommand(CLI::App& app);
void AddNewCommand(CLI::App& app);
void AddRunCommand(CLI::App& app);
void AddEvalCommand(CLI::App& app);
void AddCompareCommand(CLI::App& app);
void AddPlanCommand(CLI::App& app);
void AddFitCommand(CLI::App& app);
void AddTuneCommand(CLI::App& app);
void AddPredictCommand(CLI::App& app);
void AddCheckCommand(CLI::App& app);
void AddExportCommand(CLI::App& app);
void AddReplayCommand(CLI::App& app);
void AddReportCommand(CLI::App& app);
void AddViewCommand(CLI::App& app);
void AddBenchCommand(CLI::App& app);
void AddCompletionCommand(CLI::App& app);
void AddManualCommand(CLI::App& app);

}  // namespace foreplan::apps

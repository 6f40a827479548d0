// The tables of a run on disk: they grow by what is new in its log.
#pragma once

#include "foreplan/data/safetensors.h"
#include "foreplan/runs/appended_file.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/run_log.h"

namespace foreplan {

/// episodes.csv, metrics.csv and the event file. What an episode costs does not depend on how many
/// there were. A checkpoint keeps how far the two CSV files had come; the event file, which says
/// nothing that they do not, is made again from them when a run goes on.
class RunTables {
 public:
  /// Begins the files with the rows there are. Like Append it throws RunError when the disk
  /// refuses.
  void Begin(const RunDirectory& directory, const RunLog& log);
  /// Appends the rows that were added since.
  void Append(const RunDirectory& directory, const RunLog& log);

  void Save(TensorFile& checkpoint) const;
  /// Throws InputError when a file is not the one that the checkpoint counts.
  static void Check(const RunDirectory& directory, const TensorFile& checkpoint);
  /// Puts the files back to where that checkpoint saw them, and the rows into the log. Throws
  /// InputError when a file is not the one that the checkpoint counts.
  void Resume(const RunDirectory& directory, const TensorFile& checkpoint, RunLog& log);

 private:
  AppendedFile episodes_;
  AppendedFile metrics_;
  AppendedFile events_;
  RunLog::Position written_;         // rows in the CSV files
  RunLog::Position events_written_;  // rows in the event file
};

}  // namespace foreplan

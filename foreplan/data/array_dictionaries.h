// Dictionaries of arrays as one array.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "foreplan/data/log_options.h"
#include "foreplan/data/named_array.h"

namespace foreplan {

/// Gives arrays, and the dictionaries they are in, new names; `is_used[i]`: whether there was one.
void RenameArrays(std::span<const NewName> renames, std::vector<NamedArray>& arrays,
                  std::vector<bool>& is_used);

struct FlatArrays {
  std::vector<NamedArray> arrays;  // without dictionaries
  /// By path: "arm/angle", or "arm/angle_0", ... of several numbers. Empty: the file has no names.
  std::vector<std::string> observation;
  std::vector<std::string> action;
};

/// Joins the arrays of each dictionary of observations or actions ("observations/arm/angle") along
/// their last dimension, in the order they stand; what a row holds of any shape is one vector, as
/// are actions of an episode of its own. Rows are the first dimension, or the first two where
/// actions are [E x T x nu]. Throws InputError naming `source` and array: other rows than the first
/// of the dictionary, an array beside a dictionary, other names in another episode.
FlatArrays FlattenDictionaries(const std::string& source, std::vector<NamedArray> arrays);

}  // namespace foreplan

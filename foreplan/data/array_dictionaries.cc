#include "foreplan/data/array_dictionaries.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/array_names.h"

namespace foreplan {
namespace {

/// Numbers in a row of an array whose first `lead` dimensions are rows.
size_t ColumnsOf(const NamedArray& array, size_t lead) {
  size_t columns = 1;
  for (size_t i = lead; i < array.shape.size(); ++i) {
    columns *= static_cast<size_t>(array.shape[i]);
  }
  return columns;
}

/// "episode_3/observations" of "episode_3/observations/arm/angle".
std::string OwnerOf(const NamedArray& array) {
  const ArrayPath path = PathOf(array.name);
  return std::string(path.episode) + std::string(path.role);
}

class Dictionary {
 public:
  Dictionary(const std::string& source, std::string name, size_t lead)
      : source_(source), name_(std::move(name)), lead_(lead) {}

  void Add(const NamedArray& array) {
    const bool has_rows = array.shape.size() >= lead_;
    if (!has_rows ||
        (!members_.empty() &&
         !std::equal(array.shape.begin(), array.shape.begin() + static_cast<int64_t>(lead_),
                     members_.front()->shape.begin()))) {
      throw InputError(fmt::format(
          "{}: {}: found shape [{}], expected {}", source_, array.name,
          fmt::join(array.shape, " x "),
          members_.empty() ? "rows"
                           : fmt::format("the rows of '{}', [{}]", members_.front()->name,
                                         fmt::join(members_.front()->shape, " x "))));
    }
    members_.push_back(&array);
    const std::string inside(PathOf(array.name).inside);
    const size_t columns = ColumnsOf(array, lead_);
    for (size_t i = 0; i < columns; ++i) {
      names_.push_back(columns == 1 ? inside : fmt::format("{}_{}", inside, i));
    }
  }

  /// [rows x names()]
  [[nodiscard]] NamedArray Joined() const {
    const std::vector<int64_t>& shape = members_.front()->shape;
    NamedArray joined{name_, {shape.begin(), shape.begin() + static_cast<int64_t>(lead_)}, {}};
    const auto rows = static_cast<size_t>(
        std::accumulate(joined.shape.begin(), joined.shape.end(), int64_t{1}, std::multiplies<>()));
    joined.shape.push_back(std::ssize(names_));
    joined.values.reserve(rows * names_.size());
    for (size_t row = 0; row < rows; ++row) {
      for (const NamedArray* member : members_) {
        const size_t columns = ColumnsOf(*member, lead_);
        const auto begin = member->values.begin() + static_cast<int64_t>(row * columns);
        joined.values.insert(joined.values.end(), begin, begin + static_cast<int64_t>(columns));
      }
    }
    return joined;
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  const std::string& source_;
  std::string name_;
  size_t lead_;  // dimensions of rows
  std::vector<const NamedArray*> members_;
  std::vector<std::string> names_;
};

/// Sets the names, or compares with those of the episode before.
void CheckNames(const std::string& source, const Dictionary& dictionary,
                std::vector<std::string>& names) {
  if (names.empty()) names = dictionary.names();
  if (names == dictionary.names()) return;
  throw InputError(fmt::format("{}: {}: found the components {}, expected {}, as before", source,
                               dictionary.name(), fmt::join(dictionary.names(), ", "),
                               fmt::join(names, ", ")));
}

}  // namespace

void RenameArrays(std::span<const NewName> renames, std::vector<NamedArray>& arrays,
                  std::vector<bool>& is_used) {
  is_used.assign(renames.size(), false);
  for (NamedArray& array : arrays) {
    for (size_t i = 0; i < renames.size(); ++i) {
      if (!IsAt(array.name, renames[i].old)) continue;
      array.name.replace(PathOf(array.name).episode.size(), renames[i].old.size(), renames[i].name);
      is_used[i] = true;
      break;
    }
  }
}

FlatArrays FlattenDictionaries(const std::string& source, std::vector<NamedArray> arrays) {
  FlatArrays flat;
  size_t lead = 1;
  for (const NamedArray& array : arrays) {
    if (IsOneOf(kActionNames, array.name) && array.shape.size() == 3) lead = 2;
  }
  std::vector<Dictionary> dictionaries;  // in the order they begin
  std::map<std::string, size_t> places;
  for (const NamedArray& array : arrays) {
    if (PathOf(array.name).inside.empty()) continue;
    const std::string owner = OwnerOf(array);
    const auto [found, is_new] = places.try_emplace(owner, dictionaries.size());
    if (is_new) dictionaries.emplace_back(source, owner, lead);
    dictionaries[found->second].Add(array);
  }
  for (const Dictionary& dictionary : dictionaries) {
    const std::string_view role = PathOf(dictionary.name()).role;
    CheckNames(source, dictionary, IsOneOf(kActionNames, role) ? flat.action : flat.observation);
    flat.arrays.push_back(dictionary.Joined());
  }
  for (NamedArray& array : arrays) {
    if (!PathOf(array.name).inside.empty()) continue;
    if (places.contains(array.name)) {
      throw InputError(
          fmt::format("{}: found '{}' and a dictionary of that name, expected one of "
                      "them",
                      source, array.name));
    }
    const ArrayPath path = PathOf(array.name);
    if (!path.episode.empty() && IsOneOf(kActionNames, path.role) && array.shape.size() > 2) {
      array.shape = {array.shape[0], static_cast<int64_t>(ColumnsOf(array, 1))};
    }
    flat.arrays.push_back(std::move(array));
  }
  return flat;
}

}  // namespace foreplan

#include "foreplan/core/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace foreplan {
namespace {

/// Levenshtein distance.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

std::string NearestName(std::string_view name, std::span<const std::string> known) {
  const std::string wanted = LowerCase(name);
  std::string nearest;
  // Farther names would only confuse, as would one that has no character in common.
  size_t best = std::min(name.size(), std::max<size_t>(2, name.size() / 3) + 1);
  for (const std::string& candidate : known) {
    const std::string lower = LowerCase(candidate);
    size_t distance = EditDistance(wanted, lower);
    const bool contains = name.size() >= 3 && lower.find(wanted) != std::string::npos;
    if (contains) distance = std::min<size_t>(distance, 1);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

InputError UnknownName(std::string_view where, std::string_view what, std::string_view name,
                       std::span<const std::string> known) {
  const std::string nearest = NearestName(name, known);
  return InputError(fmt::format(
      "{}{}unknown {} '{}'{}; known: {}", where, where.empty() ? "" : ": ", what, name,
      nearest.empty() ? "" : " (did you mean '" + nearest + "'?)", fmt::join(known, ", ")));
}

}  // namespace foreplan

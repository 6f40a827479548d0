// Reads short texts of task files: names, numbers, marks.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {

/// Numbers first, ..., last - 1 of an array; last = -1 is its end.
struct IndexRange {
  int first = 0;
  int last = -1;
  std::string text = {};  // as it was written; "" for all
};

/// Blanks between the things it reads do not count.
class TextScanner {
 public:
  /// Errors start with `where` and quote the text.
  TextScanner(std::string where, std::string_view text) : where_(std::move(where)), text_(text) {}

  [[nodiscard]] bool AtEnd() {
    SkipBlanks();
    return at_ == text_.size();
  }
  /// Steps over `mark` when it comes next.
  bool Take(char mark) {
    if (!Peek(mark)) return false;
    ++at_;
    return true;
  }
  void Expect(char mark) {
    if (!Take(mark)) throw Error(fmt::format("'{}'", mark));
  }
  void ExpectEnd() {
    if (!AtEnd()) throw Error("its end");
  }
  /// Letters, digits and '_', or any characters between ' and '.
  std::string Name(std::string_view expected) { return Word(expected, false); }
  /// The same with '*' among the characters.
  std::string Pattern(std::string_view expected) { return Word(expected, true); }
  [[nodiscard]] bool AtNumber() {
    SkipBlanks();
    if (at_ == text_.size()) return false;
    const char c = text_[at_];
    return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.';
  }
  /// A finite one.
  template <typename T>
  T Number(std::string_view expected) {
    SkipBlanks();
    T value{};
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc{} || !std::isfinite(static_cast<double>(value))) throw Error(expected);
    at_ = static_cast<size_t>(end - text_.data());
    return value;
  }
  /// "[i]", "[i:j]", "[i:]", "[:j]" or nothing, which is all.
  IndexRange Range() {
    IndexRange range;
    if (!Take('[')) return range;
    const size_t begin = at_ - 1;
    const bool from_start = Take(':');
    if (!from_start) range.first = Index();
    if (!from_start && !Take(':')) {
      range.last = range.first + 1;
    } else if (!Peek(']')) {
      range.last = Index();
    }
    Expect(']');
    range.text = text_.substr(begin, at_ - begin);
    return range;
  }
  /// What stands before the next `mark`, which it steps over.
  std::string Until(char mark) {
    const size_t end = text_.find(mark, at_);
    if (end == text_.npos) throw Error(fmt::format("'{}'", mark));
    const size_t first = std::exchange(at_, end + 1);
    return std::string(text_.substr(first, end - first));
  }

  /// As Name reads it.
  [[nodiscard]] static std::string Quoted(const std::string& name) {
    return std::ranges::all_of(name, IsOfName) ? name : fmt::format("'{}'", name);
  }

  [[nodiscard]] InputError Error(std::string_view expected) const {
    return InputError(fmt::format("{}: found '{}', expected {} at character {}", where_, text_,
                                  expected, at_ + 1));
  }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  static bool IsOfName(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  }
  std::string Word(std::string_view expected, bool pattern) {
    const bool quoted = Take('\'');
    const size_t first = at_;
    const auto goes_on = [&](char c) {
      return quoted ? c != '\'' : IsOfName(c) || (pattern && c == '*');
    };
    while (at_ < text_.size() && goes_on(text_[at_])) ++at_;
    if (at_ == first) throw Error(expected);
    const std::string_view word = text_.substr(first, at_ - first);
    if (quoted) Expect('\'');
    return std::string(word);
  }
  int Index() {
    const int index = Number<int>("an index");
    if (index < 0) throw Error("an index of at least 0, read");
    return index;
  }
  bool Peek(char mark) {
    SkipBlanks();
    return at_ < text_.size() && text_[at_] == mark;
  }
  void SkipBlanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  std::string where_;
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace foreplan

// The grammar of expressions in task files, e.g. "exp(-norm(tip - goal)^2) - 0.01 * u^2":
//
//   expression = or-terms joined by "or"; these by "and"; "not" term; comparisons
//                (a < b <= c holds when all of its links do); sums; products; -term; a ^ b
//   primary    = number | name | function(expression, ...) | (expression) | [expression, ...]
//                followed by any number of [i], [i:j], [i:] or [:j], which count from 0
//   name       = letters, digits and '_', or 'any characters' in single quotes; behind "next.",
//                "previous." or "u." where it must be said whose name it is
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/expressions/text_scanner.h"

namespace foreplan {

/// The text of an expression, and where the user wrote it.
struct ExpressionText {
  std::string where = {};  // "my.toml:3:1: reward"
  std::string text = {};

  /// "<where>: column 7: <message>", then the line of the text and a mark below its column.
  [[nodiscard]] InputError Error(size_t position, std::string_view message) const;
};

/// What an expression is made of, before names have a meaning.
struct Syntax {
  enum class Kind {
    kNumber,
    kName,
    kCall,    // text: the function
    kList,    // [a, b, c]
    kIndex,   // child[range]
    kNegate,  // one child, as kNot
    kNot,
    kBinary,  // text: "+", "-", "*", "/", "^", "<", "<=", "==", "!=", "and", "or"
  };

  Kind kind = Kind::kNumber;
  size_t position = 0;  // of the character that errors point to
  std::string text = {};
  std::string scope;  // of kName: "next", "previous", "u", or "" when it is not said
  double number = 0;
  IndexRange range;
  std::vector<Syntax> children;
  int depth = 1;  // of the tree below
};

/// Throws InputError that points to the place, for what is no expression.
Syntax ParseExpression(const ExpressionText& source);

/// True for what can name a constant or a quantity: letters, digits and '_', no digit first.
bool IsExpressionName(std::string_view text);

/// Words that no constant or quantity can have as its name.
bool IsReservedWord(std::string_view word);

}  // namespace foreplan

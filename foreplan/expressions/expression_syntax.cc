#include "foreplan/expressions/expression_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <system_error>
#include <utility>

namespace foreplan {
namespace {

bool StartsName(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsOfName(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
// Of the further bytes of a character in UTF-8.
bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !ContinuesCharacter(c); }));
}

class Parser {
 public:
  explicit Parser(const ExpressionText& source) : source_(source), text_(source.text) {}

  Syntax ParseAll() {
    if (AtEnd()) throw Error("found nothing, expected an expression");
    Syntax tree = ParseOr();
    if (!AtEnd()) throw Error(fmt::format("found {}, expected an operator", Found()));
    return tree;
  }

 private:
  // Deeper texts are made by programs; recursion must not fill the stack.
  static constexpr int kMaxDepth = 500;

  // Guards every recursion of the parser.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.level_ > kMaxDepth) throw parser_.Error("found too many parts inside another");
    }
    ~Level() { --parser_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  Syntax ParseOr() {
    const Level level(*this);
    Syntax left = ParseAnd();
    while (TakeWord("or")) left = Binary("or", last_, std::move(left), ParseAnd());
    return left;
  }

  Syntax ParseAnd() {
    Syntax left = ParseNot();
    while (TakeWord("and")) left = Binary("and", last_, std::move(left), ParseNot());
    return left;
  }

  Syntax ParseNot() {
    if (!TakeWord("not")) return ParseComparison();
    const Level level(*this);
    const size_t position = last_;
    return Node(Syntax::Kind::kNot, position, {ParseNot()});
  }

  // a < b < c is a < b and b < c. Larger than is less than with exchanged sides.
  Syntax ParseComparison() {
    Syntax left = ParseSum();
    Syntax all;
    bool linked = false;
    for (std::string_view sign = TakeComparison(); !sign.empty(); sign = TakeComparison()) {
      const size_t position = last_;
      Syntax right = ParseSum();
      Syntax link = sign.starts_with('>')
                        ? Binary(sign == ">" ? "<" : "<=", position, right, std::move(left))
                        : Binary(sign, position, std::move(left), right);
      all = linked ? Binary("and", position, std::move(all), std::move(link)) : std::move(link);
      left = std::move(right);
      linked = true;
    }
    return linked ? all : left;
  }

  Syntax ParseSum() {
    Syntax left = ParseProduct();
    while (TakeMark('+') || TakeMark('-')) {
      const std::string_view sign = text_.substr(last_, 1);
      const size_t position = last_;
      left = Binary(sign, position, std::move(left), ParseProduct());
    }
    return left;
  }

  Syntax ParseProduct() {
    Syntax left = ParseNegation();
    while (TakeMark('*') || TakeMark('/')) {
      const std::string_view sign = text_.substr(last_, 1);
      const size_t position = last_;
      if (sign == "*" && PeekMark('*')) throw Error("found '**', expected '^' for a power", last_);
      left = Binary(sign, position, std::move(left), ParseNegation());
    }
    return left;
  }

  Syntax ParseNegation() {
    if (!TakeMark('-')) return ParsePower();
    const Level level(*this);
    const size_t position = last_;
    return Node(Syntax::Kind::kNegate, position, {ParseNegation()});
  }

  // From right to left: a^b^c = a^(b^c); -a^b = -(a^b); a^-b is allowed.
  Syntax ParsePower() {
    Syntax base = ParsePostfix();
    if (!TakeMark('^')) return base;
    const Level level(*this);
    const size_t position = last_;
    return Binary("^", position, std::move(base), ParseNegation());
  }

  Syntax ParsePostfix() {
    Syntax value = ParsePrimary();
    while (TakeMark('[')) {
      const size_t position = last_;
      const IndexRange range = ParseRange();
      value = Node(Syntax::Kind::kIndex, position, {std::move(value)});
      value.range = range;
    }
    return value;
  }

  IndexRange ParseRange() {
    IndexRange range;
    const size_t begin = last_;
    const bool from_start = TakeMark(':');
    if (!from_start) range.first = ParseIndex();
    if (!from_start && !TakeMark(':')) {
      range.last = range.first + 1;
    } else if (!PeekMark(']')) {
      range.last = ParseIndex();
    }
    Expect(']');
    range.text = text_.substr(begin, at_ - begin);
    return range;
  }

  int ParseIndex() {
    SkipBlanks();
    int index = 0;
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), index);
    if (error != std::errc{} || index < 0) {
      throw Error(fmt::format("found {}, expected an index from 0", Found()));
    }
    at_ = static_cast<size_t>(end - text_.data());
    return index;
  }

  Syntax ParsePrimary() {
    const Level level(*this);
    SkipBlanks();
    if (TakeMark('(')) {
      Syntax inner = ParseOr();
      Expect(')');
      return inner;
    }
    if (TakeMark('[')) {
      const size_t position = last_;
      return Node(Syntax::Kind::kList, position, ParseList(']'));
    }
    if (at_ < text_.size() &&
        (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '.')) {
      return ParseNumber();
    }
    if (at_ < text_.size() && (StartsName(text_[at_]) || text_[at_] == '\'')) return ParseName();
    throw Error(fmt::format("found {}, expected a number, a name, '(' or '['", Found()));
  }

  // Expressions up to the mark that closes the list.
  std::vector<Syntax> ParseList(char close) {
    std::vector<Syntax> items;
    if (TakeMark(close)) return items;
    do {
      items.push_back(ParseOr());
    } while (TakeComma(close));
    if (!TakeMark(close))
      throw Error(fmt::format("found {}, expected ',' or '{}'", Found(), close));
    return items;
  }

  bool TakeComma(char close) {
    if (!TakeMark(',')) return false;
    if (!PeekMark(close)) return true;
    throw Error(fmt::format("found a comma before '{}', expected none", close), last_);
  }

  Syntax ParseNumber() {
    Syntax number = Node(Syntax::Kind::kNumber, at_, {});
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), number.number);
    if (error != std::errc{}) throw Error(fmt::format("found {}, expected a number", Found()));
    at_ = static_cast<size_t>(end - text_.data());
    if (at_ < text_.size() && StartsName(text_[at_])) {
      throw Error(fmt::format("found {}, expected an operator, as in 2 * x", Found()));
    }
    return number;
  }

  Syntax ParseName() {
    Syntax name = Node(Syntax::Kind::kName, at_, {});
    const bool quoted = text_[at_] == '\'';
    name.text = TakeName();
    if (quoted) return name;
    if (IsOperatorWord(name.text)) {
      throw Error(fmt::format("found '{}', expected a number or a name", name.text), name.position);
    }
    if (PeekMark('(')) {
      TakeMark('(');
      name.kind = Syntax::Kind::kCall;
      name.children = ParseList(')');
      for (const Syntax& child : name.children) name.depth = std::max(name.depth, child.depth + 1);
      return name;
    }
    if (!TakeMark('.')) return name;
    constexpr std::array<std::string_view, 3> kScopes{"next", "previous", "u"};
    if (std::find(kScopes.begin(), kScopes.end(), name.text) == kScopes.end()) {
      throw Error(fmt::format("found '{}.', expected next., previous. or u.", name.text),
                  name.position);
    }
    name.scope = name.text;
    SkipBlanks();
    name.position = at_;
    if (at_ == text_.size() || (!StartsName(text_[at_]) && text_[at_] != '\'')) {
      throw Error(fmt::format("found {}, expected a name", Found()));
    }
    name.text = TakeName();
    return name;
  }

  std::string TakeName() {
    const size_t first = at_;
    if (text_[at_] != '\'') {
      while (at_ < text_.size() && IsOfName(text_[at_])) ++at_;
      return std::string(text_.substr(first, at_ - first));
    }
    const size_t close = text_.find('\'', first + 1);
    if (close == text_.npos) throw Error("found no ' that closes the name");
    at_ = close + 1;
    return std::string(text_.substr(first + 1, close - first - 1));
  }

  std::string_view TakeComparison() {
    SkipBlanks();
    for (const std::string_view sign : {"<=", ">=", "==", "!=", "<", ">"}) {
      if (!text_.substr(at_).starts_with(sign)) continue;
      last_ = at_;
      at_ += sign.size();
      return sign;
    }
    for (const auto& [wrong, right] : {std::pair<std::string_view, std::string_view>{"=", "=="},
                                       {"&&", "and"},
                                       {"||", "or"},
                                       {"!", "not"}}) {
      if (text_.substr(at_).starts_with(wrong)) {
        throw Error(fmt::format("found '{}', expected '{}'", wrong, right));
      }
    }
    return {};
  }

  bool TakeWord(std::string_view word) {
    SkipBlanks();
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(word) || (rest.size() > word.size() && IsOfName(rest[word.size()]))) {
      return false;
    }
    last_ = at_;
    at_ += word.size();
    return true;
  }
  bool PeekMark(char mark) {
    SkipBlanks();
    return at_ < text_.size() && text_[at_] == mark;
  }
  bool TakeMark(char mark) {
    if (!PeekMark(mark)) return false;
    last_ = at_++;
    return true;
  }
  void Expect(char mark) {
    if (!TakeMark(mark)) throw Error(fmt::format("found {}, expected '{}'", Found(), mark));
  }
  bool AtEnd() {
    SkipBlanks();
    return at_ == text_.size();
  }
  void SkipBlanks() {
    while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
  }

  static bool IsOperatorWord(std::string_view word) {
    return word == "and" || word == "or" || word == "not";
  }

  Syntax Node(Syntax::Kind kind, size_t position, std::vector<Syntax> children) const {
    Syntax node;
    node.kind = kind;
    node.position = position;
    node.children = std::move(children);
    for (const Syntax& child : node.children) node.depth = std::max(node.depth, child.depth + 1);
    if (node.depth > kMaxDepth) {
      throw Error(fmt::format("found more than {} operators in a row, expected [quantities] for "
                              "parts of it, or sum(...)",
                              kMaxDepth),
                  position);
    }
    return node;
  }
  Syntax Binary(std::string_view sign, size_t position, Syntax left, Syntax right) const {
    std::vector<Syntax> sides;
    sides.push_back(std::move(left));
    sides.push_back(std::move(right));
    Syntax node = Node(Syntax::Kind::kBinary, position, std::move(sides));
    node.text = sign;
    return node;
  }

  // The next word, number or character, for messages.
  [[nodiscard]] std::string Found() const {
    if (at_ == text_.size()) return "the end";
    size_t end = at_ + 1;
    if (IsOfName(text_[at_])) {
      while (end < text_.size() && IsOfName(text_[end])) ++end;
    } else {
      while (end < text_.size() && ContinuesCharacter(text_[end])) ++end;
    }
    return fmt::format("'{}'", text_.substr(at_, end - at_));
  }
  [[nodiscard]] InputError Error(std::string_view message) const { return Error(message, at_); }
  [[nodiscard]] InputError Error(std::string_view message, size_t position) const {
    return source_.Error(position, message);
  }

  const ExpressionText& source_;
  std::string_view text_;
  size_t at_ = 0;
  size_t last_ = 0;  // where the last mark or word that was taken begins
  int level_ = 0;
};

}  // namespace

InputError ExpressionText::Error(size_t position, std::string_view message) const {
  constexpr size_t kBefore = 60;  // characters shown at most
  constexpr size_t kAfter = 30;
  const std::string_view all = text;
  position = std::min(position, all.size());
  const size_t line_break = position == 0 ? all.npos : all.rfind('\n', position - 1);
  size_t first = line_break == all.npos ? 0 : line_break + 1;
  const size_t column = Characters(all.substr(first, position - first)) + 1;
  const auto line = std::count(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first), '\n');
  size_t last = std::min(all.find('\n', position), all.size());
  bool cut = false;
  if (position - first > kBefore) {
    first = position - kBefore;
    while (first < position && ContinuesCharacter(all[first])) ++first;
    cut = true;
  }
  if (last - position > kAfter) {
    last = position + kAfter;
    while (last > position && ContinuesCharacter(all[last])) --last;
  }
  std::string shown(all.substr(first, last - first));
  std::replace_if(shown.begin(), shown.end(), IsBlank, ' ');
  shown.resize(shown.find_last_not_of(' ') + 1);
  const size_t indent = Characters(all.substr(first, position - first)) + (cut ? 3 : 0);
  const std::string of_line = line == 0 ? "" : fmt::format("line {}, ", line + 1);
  return InputError(fmt::format("{}: {}column {}: {}\n  {}{}\n  {}^", where, of_line, column,
                                message, cut ? "..." : "", shown, std::string(indent, ' ')));
}

Syntax ParseExpression(const ExpressionText& source) { return Parser(source).ParseAll(); }

bool IsExpressionName(std::string_view text) {
  return !text.empty() && StartsName(text[0]) && std::all_of(text.begin(), text.end(), IsOfName);
}

bool IsReservedWord(std::string_view word) {
  constexpr std::array<std::string_view, 9> kWords{"next", "previous", "u",   "pi", "inf",
                                                   "and",  "or",       "not", "if"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

}  // namespace foreplan

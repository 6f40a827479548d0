#include "foreplan/data/unit.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <string>
#include <system_error>
#include <utility>

namespace foreplan {
namespace {

struct Symbol {
  std::string_view name;
  Unit unit;
  bool takes_prefixes = false;
};

constexpr double kDegree = std::numbers::pi / 180;
constexpr double kTurn = 2 * std::numbers::pi;

constexpr std::array kSymbols = {
    // m, g, s, A, K, rad
    Symbol{"m", {1, {1, 0, 0, 0, 0, 0}}, true},
    Symbol{"meter", {1, {1, 0, 0, 0, 0, 0}}},
    Symbol{"meters", {1, {1, 0, 0, 0, 0, 0}}},
    Symbol{"metre", {1, {1, 0, 0, 0, 0, 0}}},
    Symbol{"metres", {1, {1, 0, 0, 0, 0, 0}}},
    Symbol{"g", {1, {0, 1, 0, 0, 0, 0}}, true},
    Symbol{"s", kSecond, true},
    Symbol{"sec", kSecond},
    Symbol{"secs", kSecond},
    Symbol{"second", kSecond},
    Symbol{"seconds", kSecond},
    Symbol{"min", {60, {0, 0, 1, 0, 0, 0}}},
    Symbol{"h", {3600, {0, 0, 1, 0, 0, 0}}},
    Symbol{"A", {1, {0, 0, 0, 1, 0, 0}}, true},
    Symbol{"K", {1, {0, 0, 0, 0, 1, 0}}},
    Symbol{"rad", kRadian, true},
    Symbol{"radian", kRadian},
    Symbol{"radians", kRadian},
    Symbol{"deg", {kDegree, {0, 0, 0, 0, 0, 1}}},
    Symbol{"degree", {kDegree, {0, 0, 0, 0, 0, 1}}},
    Symbol{"degrees", {kDegree, {0, 0, 0, 0, 0, 1}}},
    Symbol{"\xc2\xb0", {kDegree, {0, 0, 0, 0, 0, 1}}},
    Symbol{"rev", {kTurn, {0, 0, 0, 0, 0, 1}}},
    Symbol{"rpm", {kTurn / 60, {0, 0, -1, 0, 0, 1}}},
    Symbol{"Hz", {1, {0, 0, -1, 0, 0, 0}}, true},
    Symbol{"N", {1e3, {1, 1, -2, 0, 0, 0}}, true},
    Symbol{"Nm", {1e3, {2, 1, -2, 0, 0, 0}}, true},
    Symbol{"J", {1e3, {2, 1, -2, 0, 0, 0}}, true},
    Symbol{"W", {1e3, {2, 1, -3, 0, 0, 0}}, true},
    Symbol{"V", {1e3, {2, 1, -3, -1, 0, 0}}, true},
    Symbol{"Pa", {1e3, {-1, 1, -2, 0, 0, 0}}, true},
    Symbol{"bar", {1e8, {-1, 1, -2, 0, 0, 0}}, true},
    Symbol{"%", {1e-2, {}}},
    Symbol{"-", {}},
};

constexpr std::array<std::pair<std::string_view, double>, 9> kPrefixes = {{{"n", 1e-9},
                                                                           {"u", 1e-6},
                                                                           {"\xc2\xb5", 1e-6},
                                                                           {"\xce\xbc", 1e-6},
                                                                           {"m", 1e-3},
                                                                           {"c", 1e-2},
                                                                           {"d", 1e-1},
                                                                           {"k", 1e3},
                                                                           {"M", 1e6}}};

std::optional<Unit> FindSymbol(std::string_view name) {
  const auto find = [](std::string_view text) {
    return std::ranges::find(kSymbols, text, &Symbol::name);
  };
  if (const auto* const found = find(name); found != kSymbols.end()) return found->unit;
  for (const auto& [prefix, factor] : kPrefixes) {
    if (!name.starts_with(prefix)) continue;
    const auto* const found = find(name.substr(prefix.size()));
    if (found == kSymbols.end() || !found->takes_prefixes) continue;
    Unit unit = found->unit;
    unit.factor *= factor;
    return unit;
  }
  return std::nullopt;
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// With signs of one byte: '*' between factors, '^' before powers.
std::string Plain(std::string_view text) {
  std::string plain(text);
  ReplaceAll(plain, "\xc2\xb7", "*");       // a dot in the middle
  ReplaceAll(plain, "\xe2\x81\xbb", "^-");  // superscripts: minus, 1, 2, 3
  ReplaceAll(plain, "\xc2\xb9", "^1");
  ReplaceAll(plain, "\xc2\xb2", "^2");
  ReplaceAll(plain, "\xc2\xb3", "^3");
  ReplaceAll(plain, "^-^", "^-");
  ReplaceAll(plain, "**", "^");
  return plain;
}

/// "m", "s^-1", "s-1", "s2".
std::optional<Unit> ParsePower(std::string_view text) {
  size_t end = text.find_first_of("^-0123456789");
  if (text == "-" || end == std::string_view::npos) return FindSymbol(text);
  std::optional<Unit> unit = FindSymbol(text.substr(0, end));
  if (text[end] == '^') ++end;
  const std::string_view digits = text.substr(end);
  int power = 0;
  const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), power);
  constexpr int kLargestPower = 9;
  const bool is_power = error == std::errc() && last == digits.data() + digits.size() &&
                        std::abs(power) <= kLargestPower;
  if (!unit || !is_power) return std::nullopt;
  unit->factor = std::pow(unit->factor, power);
  for (int& entry : unit->powers) entry *= power;
  return unit;
}

}  // namespace

std::optional<Unit> ParseUnit(std::string_view text) {
  const std::string plain = Plain(text);
  std::optional<Unit> product;
  bool divides = false;  // the next factor
  size_t at = 0;
  if (plain.starts_with("1/")) {  // "1/s"
    product.emplace();
    at = 1;
  }
  while (at < plain.size()) {
    if (plain[at] == ' ' || plain[at] == '*' || plain[at] == '/') {
      if (plain[at] == '/' && (divides || at == 0)) return std::nullopt;
      divides = divides || plain[at] == '/';
      ++at;
      continue;
    }
    const size_t end = std::min(plain.find_first_of(" */", at), plain.size());
    const std::optional<Unit> factor = ParsePower(std::string_view(plain).substr(at, end - at));
    if (!factor) return std::nullopt;
    if (!product) product.emplace();
    const int sign = divides ? -1 : 1;
    product->factor *= divides ? 1 / factor->factor : factor->factor;
    for (size_t i = 0; i < product->powers.size(); ++i) {
      product->powers[i] += sign * factor->powers[i];
    }
    divides = false;
    at = end;
  }
  return divides ? std::nullopt : product;
}

}  // namespace foreplan

#include "foreplan/expressions/expression_definitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr const char* kConstants = "constants";
constexpr const char* kQuantities = "quantities";

struct ConstantsSection {
  std::vector<NamedConstant>& constants;
  std::vector<bool> is_list;

  void Visit(OptionsVisitor& visitor) {
    for (size_t i = 0; i < constants.size(); ++i) {
      NamedConstant& constant = constants[i];
      if (is_list[i]) {
        visitor.Field(constant.name, constant.values, {}, "");
      } else {
        visitor.Field(constant.name, constant.values[0], {}, "");
      }
    }
  }
};

struct QuantitiesSection {
  std::vector<NamedQuantity>& quantities;

  void Visit(OptionsVisitor& visitor) {
    for (NamedQuantity& quantity : quantities) {
      visitor.Field(quantity.name, quantity.source.text, "");
    }
  }
};

// True when the text holds the name as a whole word.
bool Mentions(const std::string& text, const std::string& name) {
  const auto is_of_name = [&](size_t at) {
    return at < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
  };
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    if ((at == 0 || !is_of_name(at - 1)) && !is_of_name(at + name.size())) return true;
  }
  return false;
}

}  // namespace

ExpressionDefinitions ExpressionDefinitions::Read(Config& config) {
  ExpressionDefinitions definitions;
  ConstantsSection constants{definitions.constants, {}};
  for (const std::string& key : config.Keys(kConstants)) {
    definitions.constants.push_back({key, config.Where(kConstants, key), {0.0}});
    constants.is_list.push_back(config.IsArray(kConstants, key));
  }
  config.Read(kConstants, constants);
  for (const NamedConstant& constant : definitions.constants) {
    if (constant.values.empty()) {
      throw InputError(fmt::format("{}: found no numbers, expected some", constant.where));
    }
  }
  for (const std::string& key : config.Keys(kQuantities)) {
    definitions.quantities.push_back({key, {config.Where(kQuantities, key), ""}});
  }
  QuantitiesSection quantities{definitions.quantities};
  config.Read(kQuantities, quantities);
  return definitions;
}

void ExpressionDefinitions::Write(ConfigWriter& writer) const {
  ExpressionDefinitions copy = *this;
  ConstantsSection constants_section{copy.constants, {}};
  for (const NamedConstant& constant : constants) {
    constants_section.is_list.push_back(constant.values.size() != 1);
  }
  if (!constants.empty()) writer.Write(kConstants, constants_section);
  QuantitiesSection quantities_section{copy.quantities};
  if (!quantities.empty()) writer.Write(kQuantities, quantities_section);
}

void ExpressionDefinitions::ThrowOnUnusedOverrides(std::vector<std::string> texts) const {
  for (const NamedQuantity& quantity : quantities) texts.push_back(quantity.source.text);
  const auto check = [&](const std::string& name, const std::string& where, const std::string& what,
                         const std::vector<std::string>& known) {
    const auto mentions = [&](const std::string& text) { return Mentions(text, name); };
    if (!where.starts_with("--set ") || std::any_of(texts.begin(), texts.end(), mentions)) return;
    throw UnknownName(where, what, name, known);
  };
  // The others are those that the name may have been meant to be.
  const auto check_all = [&](const auto& all, const std::string& what, const auto& where_of) {
    for (const auto& one : all) {
      std::vector<std::string> others;
      for (const auto& other : all) {
        if (other.name != one.name) others.push_back(other.name);
      }
      check(one.name, where_of(one), what, others);
    }
  };
  check_all(constants, "constant", [](const NamedConstant& c) { return c.where; });
  check_all(quantities, "quantity", [](const NamedQuantity& q) { return q.source.where; });
}

}  // namespace foreplan

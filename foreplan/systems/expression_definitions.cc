#include "foreplan/systems/expression_definitions.h"

#include <fmt/format.h>

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

}  // namespace foreplan

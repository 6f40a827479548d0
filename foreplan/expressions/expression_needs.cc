#include "foreplan/expressions/expression_needs.h"

#include <algorithm>
#include <string>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

template <typename Named>
bool Has(const Named& all, const std::string& name) {
  return std::ranges::any_of(all, [&](const auto& one) { return one.name == name; });
}

class NeedsReader {
 public:
  NeedsReader(const ExpressionDefinitions& definitions, const ExpressionScope& scope)
      : definitions_(definitions), scope_(scope) {}

  void Read(const ExpressionText& text) {
    try {
      Read(ParseExpression(text));
    } catch (const InputError&) {  // said by who compiles it
    }
  }

  [[nodiscard]] const ExpressionNeeds& needs() const { return needs_; }

 private:
  void Read(const Syntax& syntax) {
    if (syntax.kind == Syntax::Kind::kName) ReadName(syntax);
    if (syntax.kind == Syntax::Kind::kCall && syntax.text == "phase") needs_.time = true;
    for (const Syntax& child : syntax.children) Read(child);
  }

  void ReadName(const Syntax& name) {
    const bool is_known =
        Has(scope_.observation, name.text) || Has(definitions_.quantities, name.text) ||
        (name.scope.empty() &&
         (Has(scope_.action, name.text) || Has(definitions_.constants, name.text)));
    if (is_known || name.scope == "u") return;
    if (name.text == "time") needs_.time = true;
    if (name.scope == "previous" && (name.text == "u" || Has(scope_.action, name.text))) {
      needs_.previous_action = true;
    }
  }

  const ExpressionDefinitions& definitions_;
  const ExpressionScope& scope_;
  ExpressionNeeds needs_;
};

}  // namespace

ExpressionNeeds NeedsOf(const std::vector<ExpressionText>& texts,
                        const ExpressionDefinitions& definitions, const ExpressionScope& scope) {
  NeedsReader reader(definitions, scope);
  for (const ExpressionText& text : texts) reader.Read(text);
  for (const NamedQuantity& quantity : definitions.quantities) reader.Read(quantity.source);
  return reader.needs();
}

}  // namespace foreplan

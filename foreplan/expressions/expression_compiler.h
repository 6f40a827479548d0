// From the texts of a task file to a graph: what names mean.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/expressions/expression_builder.h"
#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_scope.h"
#include "foreplan/expressions/expression_syntax.h"

namespace foreplan {

/// Names stand for components of the observation AFTER the step (as "next.x"), those behind
/// "previous." for what they were before it; for components of the action, also behind "u."; for
/// constants; and for quantities, which are expressions themselves: "previous.distance" is the
/// quantity of the observation before the step; for the time of the episode ("time") and the action
/// before ("previous.u", "previous.<action>"), where the observation has them. next, previous and u
/// alone are all components, in order. In a scope of arrays names stand for these and for
/// constants; then there is rate(x), too.
class ExpressionCompiler {
 public:
  /// Scope and definitions must outlive this object. Throws InputError for names that cannot be
  /// used or mean two things, and for a wrong quantity.
  ExpressionCompiler(const ExpressionScope& scope, const ExpressionDefinitions& definitions);

  /// The node of an expression that is one number, or one condition. Throws InputError.
  int Number(const ExpressionText& source);
  int Condition(const ExpressionText& source);
  /// The nodes of an expression that is one number or several. Throws InputError.
  std::vector<int> Numbers(const ExpressionText& source);
  /// The same of what is known before the step:
  /// names that do not say it stand for the observation BEFORE it. Throws InputError, also where it
  /// depends on the next observation.
  std::vector<int> NumbersBeforeStep(const ExpressionText& source);

  [[nodiscard]] const ExpressionGraph& graph() const { return build_.graph(); }

  /// Names of functions, sorted.
  static std::vector<std::string> FunctionNames();

 private:
  using Value = ExpressionValue;
  enum class Time { kPrevious, kNext };

  void CheckNames() const;
  Value CompileSource(const ExpressionText& source, Time time);
  Value Compile(const Syntax& syntax);
  Value CompileName(const Syntax& name);
  Value CompileScopedName(const Syntax& name);
  std::optional<Value> CompileTime(Time time);
  std::optional<Value> CompilePreviousAction(const std::string& name);
  Value CompilePhase(const Syntax& call);
  Value CompileArrayName(const Syntax& name);
  std::optional<Value> FindArray(const std::string& name, const std::string& object);
  std::optional<Value> CompileArrayCall(const Syntax& call);
  Value CompileQuantity(size_t index, Time time, const Syntax& name);
  Value CompileCall(const Syntax& call);
  Value CompileList(const Syntax& list);
  Value CompileIndex(const Syntax& index);
  Value CompileBinary(const Syntax& binary);
  Value CompileArithmetic(ExpressionOp op, const Syntax& binary, const Value& left,
                          const Value& right);
  std::optional<Value> FindConstant(const std::string& name);
  std::vector<int> NumbersAt(const ExpressionText& source, Time time);
  [[nodiscard]] std::vector<std::string> KnownFunctions() const;
  [[nodiscard]] std::vector<std::string> KnownNames() const;

  ExpressionScope scope_;
  std::span<const NamedConstant> constants_;
  std::span<const NamedQuantity> quantities_;
  ExpressionBuilder build_;
  Time time_ = Time::kNext;                            // of names that do not say it
  std::map<std::pair<size_t, Time>, Value> compiled_;  // quantities
  std::vector<size_t> open_;                           // quantities that are being compiled
};

}  // namespace foreplan

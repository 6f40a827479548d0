#include "foreplan/models/physics/unknowns.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/text_scanner.h"

namespace foreplan {
namespace {

constexpr const char* kUnknownsKey = "model.physics.unknowns";
constexpr const char* kTiesKey = "model.physics.ties";

/// "cart_mass", "body_inertia(pole)[1]".
std::string ParameterName(TextScanner& scanner) {
  std::string name = scanner.Name("the name of a parameter");
  if (scanner.Take('(')) {
    name += "(" + scanner.Name("an object of the model") + ")";
    scanner.Expect(')');
  }
  if (scanner.Take('[')) {
    name += fmt::format("[{}]", scanner.Number<int>("an index"));
    scanner.Expect(']');
  }
  return name;
}

void ExpectWord(const char* word, TextScanner& scanner) {
  const std::string expected = fmt::format("'{}'", word);
  if (scanner.Name(expected) != word) throw scanner.Error(expected + " before it,");
}

/// Expressions of the unknowns that give further parameters their values.
class Ties {
 public:
  Ties(const std::vector<Unknown>& unknowns, const std::vector<std::string>& texts)
      : sizes_{static_cast<int>(unknowns.size()), 0} {
    EnvironmentSpec spec;  // in which the unknowns are what an expression names
    for (const Unknown& unknown : unknowns) {
      const bool is_name = unknown.name.find('(') == std::string::npos;
      spec.observation.push_back(
          {is_name ? unknown.name : fmt::format("unknown_{}", spec.observation.size()), ""});
    }
    const ExpressionDefinitions none;
    for (const std::string& text : texts) {
      const size_t equal = text.find('=');
      if (equal == std::string::npos) {
        throw InputError(fmt::format("{}: found '{}', expected NAME = expression", kTiesKey, text));
      }
      TextScanner scanner(kTiesKey, std::string_view(text).substr(0, equal));
      names_.push_back(ParameterName(scanner));
      scanner.ExpectEnd();
      ExpressionCompiler compiler({spec.observation, spec.action}, none);
      const int number = compiler.Number({kTiesKey, text.substr(equal + 1)});
      programs_.emplace_back(compiler.graph(), std::vector{number}, -1, sizes_);
    }
  }

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  void Append(std::span<const double> unknowns, std::vector<double>& values) const {
    for (const ExpressionProgram& program : programs_) {
      double value = 0;
      const double no_action = 0;
      program.Run({.rows = 1,
                   .observation = unknowns.data(),
                   .action = &no_action,
                   .next_observation = unknowns.data()},
                  &value, nullptr);
      values.push_back(value);
    }
  }

 private:
  TransitionSizes sizes_;
  std::vector<std::string> names_;
  std::vector<ExpressionProgram> programs_;
};

}  // namespace

void PhysicsOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("unknowns", unknowns,
                "\"NAME = START in [LOW, HIGH]\", or with \", prior MEAN +- DEVIATION\"");
  visitor.Field("ties", ties, "\"NAME = expression of the unknowns\"");
  fit.Visit(visitor);
}

Unknown ParseUnknown(const std::string& where, const std::string& text) {
  TextScanner scanner(where, text);
  Unknown unknown;
  unknown.name = ParameterName(scanner);
  scanner.Expect('=');
  unknown.start = scanner.Number<double>("a number to start from");
  ExpectWord("in", scanner);
  scanner.Expect('[');
  unknown.low = scanner.Number<double>("its lower bound");
  scanner.Expect(',');
  unknown.high = scanner.Number<double>("its upper bound");
  scanner.Expect(']');
  if (scanner.Take(',')) {
    ExpectWord("prior", scanner);
    unknown.prior_mean = scanner.Number<double>("the prior's mean");
    scanner.Expect('+');
    scanner.Expect('-');
    unknown.prior_deviation = scanner.Number<double>("the prior's deviation");
  }
  scanner.ExpectEnd();
  CheckUnknown(where, unknown);
  return unknown;
}

SystemFamily MakeTiedFamily(const Task& task, const std::vector<Unknown>& unknowns,
                            const std::vector<std::string>& texts) {
  const auto ties = std::make_shared<const Ties>(unknowns, texts);
  std::vector<std::string> names;
  for (const Unknown& unknown : unknowns) names.push_back(unknown.name);
  names.insert(names.end(), ties->names().begin(), ties->names().end());
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + static_cast<ptrdiff_t>(i), names[i]) ==
        names.begin() + static_cast<ptrdiff_t>(i)) {
      continue;
    }
    throw InputError(fmt::format("{}: found '{}' twice, expected each parameter once",
                                 i < unknowns.size() ? kUnknownsKey : kTiesKey, names[i]));
  }
  SystemFamily family =
      [ties, inner = task.MakeFamily(kUnknownsKey, names)](std::span<const double> unknown_values) {
        std::vector<double> values(unknown_values.begin(), unknown_values.end());
        ties->Append(unknown_values, values);
        return inner(values);
      };
  // A parameter out of the system's own range shows at once, not in the middle of a fit.
  for (double Unknown::*place : {&Unknown::start, &Unknown::low, &Unknown::high}) {
    std::vector<double> values;
    for (const Unknown& unknown : unknowns) values.push_back(unknown.*place);
    static_cast<void>(family(values));
  }
  return family;
}

}  // namespace foreplan

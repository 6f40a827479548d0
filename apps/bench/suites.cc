#include "apps/bench/suite.h"

namespace foreplan::apps {

// One line per suite.
const std::vector<BenchSuite>& BenchSuites() {
  static const std::vector<BenchSuite> kSuites = {
      {"planning", "whole decisions through ensembles of networks", &PlanningCases},
  };
  return kSuites;
}

}  // namespace foreplan::apps

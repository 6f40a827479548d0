// A kind of model that a program brings.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/learned_model.h"

namespace foreplan {
namespace {

struct SmallOptions {
  int width = 4;
  void Visit(OptionsVisitor& visitor) { visitor.Field("width", width, {1, 64}, "units per layer"); }
};

/// Networks of a size that the kind says.
ModelEntry SmallNetworks() {
  return {.make = [](const ModelSubject& subject, Config& config, Key key,
                     std::shared_ptr<Executor> executor) -> std::unique_ptr<LearnedModel> {
            EnsembleOptions networks;
            networks.members = 1;
            networks.width = ReadOptions<SmallOptions>(config, "model.small").width;
            return std::make_unique<EnsembleModel>(subject.spec, subject.encoding, networks,
                                                   FitOptions(), key, std::move(executor));
          },
          .write =
              [](Config& config, ConfigWriter& writer) {
                auto options = ReadOptions<SmallOptions>(config, "model.small");
                writer.Write("model.small", options);
              }};
}

TEST(RegisteredModel, IsMadeByItsNameWithItsOwnSectionWhichIsWritten) {
  RegisterModel("small", SmallNetworks());
  auto [task, config] = Task::Load("cartpole_closed_form", {});
  config.Set("model.kind=small");
  config.Set("model.small.width=8");
  const auto model = MakeLearnedModel(task, config, Key{1, 0}, std::make_shared<SerialExecutor>());
  const auto& networks = dynamic_cast<const EnsembleModel&>(*model);
  EXPECT_EQ(networks.members(), 1);
  EXPECT_EQ(networks.ensemble()->options().width, 8);
  ConfigWriter writer;
  WriteModelOptions(config, writer);
  EXPECT_NE(writer.text().find("[model.small]\nwidth = 8"), std::string::npos) << writer.text();
  EXPECT_EQ(MessageOf([] { RegisterModel("small", SmallNetworks()); }),
            "model: found the name 'small' again, expected one that is free");

  // Of another kind the section is no unknown one, and is not written.
  config.Set("model.kind=ensemble");
  ConfigWriter other;
  WriteModelOptions(config, other);
  EXPECT_EQ(other.text().find("model.small"), std::string::npos);
}

}  // namespace
}  // namespace foreplan

#include "foreplan/runs/provenance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = R"(
name = "cart"
summary = "a cart"
reward = "-x^2"
[run]
seed = 3
episodes = 5
steps = 0
[record]
mb = 64.0
[mpc]
refit_every = 50
)";

std::string Changed(const std::string& from, const std::string& to) {
  std::string text = kConfig;
  return text.replace(text.find(from), from.size(), to);
}

class ProvenanceTest : public testing::Test {
 protected:
  ProvenanceTest()
      : directory_(RunDirectory::Create(
            fs::path(testing::TempDir()) /
            (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + "_" +
             std::to_string(getpid())))) {
    WriteFileAtomically(directory_.config_file(), kConfig);
    WriteFileAtomically(directory_.machine_file(), "{}");
    fs::create_directories(directory_.path() / "mesh");
    WriteFileAtomically(directory_.path() / "cart.xml", "<mujoco/>");
    WriteFileAtomically(directory_.path() / "mesh" / "wheel.obj", "v 0 0 0");
  }
  ~ProvenanceTest() override { fs::remove_all(directory_.path()); }

  /// "name: before -> now", of the run as it is now.
  [[nodiscard]] std::vector<std::string> Differences(const Provenance& before,
                                                     const std::string& config = kConfig) const {
    std::vector<std::string> texts;
    for (const Difference& of : DifferencesOf(before, ProvenanceOf(directory_, config, before))) {
      texts.push_back(of.name + ": " + of.before + " -> " + of.now);
    }
    return texts;
  }

  RunDirectory directory_;
};

TEST_F(ProvenanceTest, IsTheSameForTheSameRun) {
  const Provenance before = ProvenanceOf(directory_, kConfig);
  EXPECT_THAT(Differences(before), testing::IsEmpty());
  EXPECT_THAT(before.machine, testing::SizeIs(3));
  EXPECT_THAT(before.files, testing::SizeIs(2));
}

TEST_F(ProvenanceTest, SeesEveryKeyButThoseThatChangeNoBit) {
  const Provenance before = ProvenanceOf(directory_, kConfig);
  const auto differences = [&](const std::string& from, const std::string& to) {
    return Differences(before, Changed(from, to));
  };
  EXPECT_THAT(differences("-x^2", "-x"), testing::ElementsAre("reward: '-x^2' -> '-x'"));
  EXPECT_THAT(differences("seed = 3", "seed = 4"), testing::ElementsAre("run.seed: 3 -> 4"));
  EXPECT_THAT(differences("refit_every = 50", ""), testing::ElementsAre("mpc.refit_every: 50 -> "));
  EXPECT_THAT(differences("mb = 64.0", "mb = 64.00"), testing::IsEmpty()) << "the same number";
  EXPECT_THAT(differences("episodes = 5", "episodes = 9"), testing::IsEmpty());
  EXPECT_THAT(differences("steps = 0", "steps = 9"), testing::IsEmpty());
  EXPECT_THAT(differences("mb = 64.0", "mb = 1.0"), testing::IsEmpty());
  EXPECT_THAT(differences("a cart", "the cart"), testing::IsEmpty());
  EXPECT_THAT(differences("seed = 3", "seed = 3\nnew = 1"), testing::IsEmpty())
      << "a later version";
}

TEST_F(ProvenanceTest, SeesFilesOfTheTaskThatWereChangedOrAreGone) {
  const Provenance before = ProvenanceOf(directory_, kConfig);
  WriteFileAtomically(directory_.path() / "notes.txt", "a user's");
  EXPECT_THAT(Differences(before), testing::IsEmpty());
  WriteFileAtomically(directory_.path() / "cart.xml", "<mujoco />");
  fs::remove(directory_.path() / "mesh" / "wheel.obj");
  EXPECT_THAT(Differences(before),
              testing::ElementsAre(testing::StartsWith("cart.xml: "),
                                   testing::AllOf(testing::StartsWith("mesh/wheel.obj: "),
                                                  testing::EndsWith(" -> "))));
}

TEST_F(ProvenanceTest, SeesAnotherProgramProcessorAndLibrary) {
  Provenance before = ProvenanceOf(directory_, kConfig);
  for (auto& [name, text] : before.machine) text = "another";
  EXPECT_THAT(Differences(before), testing::ElementsAre(testing::StartsWith("libraries: another"),
                                                        testing::StartsWith("processor: another"),
                                                        testing::StartsWith("program: another")));
}

TEST_F(ProvenanceTest, ACheckpointKeepsIt) {
  TensorFile state;
  EXPECT_EQ(ReadProvenance(state).provenance, Provenance()) << "of an earlier version";
  const KeptProvenance kept{ProvenanceOf(directory_, kConfig),
                            {{"reward", "'a'", "'b'", 3}, {"cart.xml", "01234567", "", 4}}};
  SaveProvenance(kept, state);
  const KeptProvenance read = ReadProvenance(state);
  EXPECT_EQ(read.provenance, kept.provenance);
  EXPECT_EQ(DifferencesJson(read.accepted), DifferencesJson(kept.accepted));
  ASSERT_EQ(read.accepted.size(), 2U);
  EXPECT_EQ(AcceptedText(read.accepted[0]), "reward: was 'a', is 'b', after episode 3");
  EXPECT_EQ(DifferenceText(read.accepted[1]), "cart.xml: was 01234567, is nothing");
  EXPECT_EQ(DifferenceText({"reward", std::string(99, 'x'), ""}),
            "reward: was " + std::string(60, 'x') + "..., is nothing");
  for (const char* key : {"provenance", "accepted"}) {
    for (const char* text : {"", "x", "[1]", R"({"machine":1})"}) {
      TensorFile damaged = state;
      damaged.source = "state";
      damaged.metadata[key] = text;
      EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadProvenance(damaged)); }),
                  testing::StartsWith(std::string("state: metadata '") + key + "': "))
          << text;
    }
  }
}

}  // namespace
}  // namespace foreplan

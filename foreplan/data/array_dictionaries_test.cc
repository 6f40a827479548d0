#include "foreplan/data/array_dictionaries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/array_recording.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const NamedArray kAngle = {"observations/arm/angle", {2}, {1, 2}};
const NamedArray kTurn = {"observations/turn", {2, 2, 1}, {3, 4, 5, 6}};

std::string Refusal(const std::vector<NamedArray>& arrays) {
  try {
    FlattenDictionaries("a.npz", arrays);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(ArrayDictionaries, ArraysAreJoinedRowByRowAndCalledByTheirPaths) {
  const FlatArrays flat =
      FlattenDictionaries("a.npz", {kAngle, {"actions", {2, 1}, {7, 8}}, kTurn});
  EXPECT_THAT(flat.observation, ElementsAre("arm/angle", "turn_0", "turn_1"));
  EXPECT_TRUE(flat.action.empty());
  ASSERT_EQ(flat.arrays.size(), 2U);
  EXPECT_EQ(flat.arrays[0].name, "observations");
  EXPECT_THAT(flat.arrays[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(flat.arrays[0].values, ElementsAre(1, 3, 4, 2, 5, 6));
  EXPECT_EQ(flat.arrays[1].name, "actions");
}

TEST(ArrayDictionaries, EpisodesStackedOrInGroupsAreJoinedAsWell) {
  const FlatArrays stack = FlattenDictionaries(
      "a.npz",
      {{"obs/x", {1, 2}, {1, 2}}, {"obs/y", {1, 2, 1}, {3, 4}}, {"actions", {1, 1, 1}, {5}}});
  EXPECT_THAT(stack.arrays[0].shape, ElementsAre(1, 2, 2));
  EXPECT_THAT(stack.arrays[0].values, ElementsAre(1, 3, 2, 4));
  const FlatArrays groups = FlattenDictionaries(
      "a.h5",
      {{"episode_0/observations/x", {2}, {1, 2}}, {"episode_1/observations/x", {3}, {3, 4, 5}}});
  EXPECT_EQ(groups.arrays[1].name, "episode_1/observations");
  EXPECT_THAT(groups.arrays[1].values, ElementsAre(3, 4, 5));
}

TEST(ArrayDictionaries, ActionsOfAnEpisodeAreVectorsWhateverTheirShape) {
  const FlatArrays flat =
      FlattenDictionaries("a.h5", {{"episode_0/actions", {2, 1, 2}, {1, 2, 3, 4}},
                                   {"episode_0/observations", {3, 1, 1}, {1, 2, 3}}});
  EXPECT_THAT(flat.arrays[0].shape, ElementsAre(2, 2));
  EXPECT_THAT(flat.arrays[0].values, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(flat.arrays[1].shape, ElementsAre(3, 1, 1)) << "an image, perhaps";
}

TEST(ArrayDictionaries, ComponentsAreChosenByTheirPaths) {
  const std::vector<NamedArray> arrays = {kAngle, kTurn, {"actions", {2}, {7, 8}}};
  const Recording chosen = ReadArrayRecording(
      "a.npz", arrays, {.observation = {"turn_1", "arm/angle"}, .action = {"u"}});
  EXPECT_THAT(chosen.data.observation(0), ElementsAre(4, 1));
  EXPECT_THAT(chosen.data.next_observation(0), ElementsAre(6, 2));
  // Names of the user's own are those of all components, in order.
  const Recording named =
      ReadArrayRecording("a.npz", arrays, {.observation = {"a", "b", "c"}, .action = {}});
  EXPECT_THAT(named.data.observation(0), ElementsAre(1, 3, 4));
}

TEST(ArrayDictionaries, RefusesWhatCannotBeJoined) {
  EXPECT_THAT(Refusal({kAngle, {"observations/x", {3}, {1, 2, 3}}}),
              HasSubstr("a.npz: observations/x: found shape [3], expected the rows of "
                        "'observations/arm/angle', [2]"));
  EXPECT_THAT(Refusal({kAngle, {"observations", {2}, {1, 2}}}),
              HasSubstr("found 'observations' and a dictionary of that name"));
  EXPECT_THAT(Refusal({{"episode_0/observations/x", {2}, {1, 2}},
                       {"episode_1/observations/y", {2}, {1, 2}}}),
              HasSubstr("episode_1/observations: found the components y, expected x, as before"));
}

}  // namespace
}  // namespace foreplan

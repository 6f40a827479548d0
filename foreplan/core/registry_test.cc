#include "foreplan/core/registry.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

TEST(Registry, FindsWhatItBringsAndWhatJoined) {
  Registry<int> registry("planner", {{"cem", 1}, {"icem", 2}});
  registry.Add("mine", 3);
  EXPECT_EQ(registry.Find("x.toml", "cem"), 1);
  EXPECT_EQ(registry.Find("x.toml", "mine"), 3);
  EXPECT_EQ(registry.Names(), (std::vector<std::string>{"cem", "icem", "mine"}));
  EXPECT_TRUE(registry.Has("icem"));
  EXPECT_FALSE(registry.Has("ilqr"));
}

TEST(Registry, RefusesANameThatIsTakenOrNone) {
  Registry<int> registry("planner", {{"cem", 1}});
  EXPECT_EQ(MessageOf([&] { registry.Add("cem", 2); }),
            "planner: found the name 'cem' again, expected one that is free");
  for (const std::string name : {"", "my planner", "a.b"}) {
    EXPECT_EQ(MessageOf([&] { registry.Add(name, 2); }),
              "planner: found the name '" + name + "', expected letters, digits, '_' and '-'");
  }
  EXPECT_EQ(registry.Find("", "cem"), 1);
}

TEST(Registry, AnUnknownNameIsSaidWithTheNearest) {
  const Registry<int> registry("planner", {{"cem", 1}, {"random_shooting", 2}});
  const std::string message = MessageOf([&] { (void)registry.Find("x.toml", "randomshooting"); });
  EXPECT_EQ(message.find("x.toml"), 0U);
  EXPECT_NE(message.find("planner"), std::string::npos);
  EXPECT_NE(message.find("random_shooting"), std::string::npos);
}

TEST(Registry, IsReadWhileNamesJoin) {
  Registry<int> registry("planner", {{"cem", 1}});
  std::jthread adds([&] {
    for (int i = 0; i < 200; ++i) registry.Add("p" + std::to_string(i), i);
  });
  for (int i = 0; i < 200; ++i) EXPECT_EQ(registry.Find("", "cem"), 1);
}

}  // namespace
}  // namespace foreplan

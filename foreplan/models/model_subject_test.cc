// What the file of a model says that it is of, and who is refused by it.
#include "foreplan/models/model_subject.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/read_subject.h"

namespace foreplan {
namespace {

/// A slider with a hinge, 0.04 s.
ModelSubject Slider() {
  EnvironmentSpec spec;
  spec.dt = 0.04;
  spec.observation = {{"slider", "m"}, {"hinge", "rad"}};
  spec.action = {{"push", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return {spec, Encoding{.sin_cos = {"hinge"}}};
}

TensorFile FileOf(const ModelSubject& subject) {
  TensorFile file;
  file.source = "model.safetensors";
  WriteSubject(subject, file);
  return file;
}

/// Of the slider's file, asked by what `change` makes of the slider.
std::string RefusalOf(const std::function<void(ModelSubject&)>& change) {
  ModelSubject subject = Slider();
  change(subject);
  return MessageOf([&] { CheckSubject(subject, FileOf(Slider())); });
}

TEST(ModelSubject, OfAPolicyIsWithoutWhatOnlyItsTaskCanRead) {
  ModelSubject subject = Slider();
  subject.encoding.input_texts = {"payload * slider"};
  const ModelSubject read = ReadSubjectOfPolicy(FileOf(subject));
  EXPECT_EQ(read.spec.observation[1].name, "hinge");
  EXPECT_EQ(read.encoding.sin_cos, (std::vector<std::string>{"hinge"}));
  EXPECT_TRUE(read.encoding.input_texts.empty());
  EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadSubject(FileOf(subject))); }),
              testing::HasSubstr("payload"));
}

TEST(ModelSubject, IsAcceptedByItself) {
  EXPECT_EQ(RefusalOf([](ModelSubject&) {}), "");
}

TEST(ModelSubject, TheFirstDifferenceIsNamed) {
  EXPECT_EQ(RefusalOf([](ModelSubject& of) { of.spec.observation[0].name = "lift"; }),
            "model.safetensors: found a model of another system, with 'slider' as component 1 of "
            "the observation, expected 'lift'");
  EXPECT_EQ(RefusalOf([](ModelSubject& of) {
              std::swap(of.spec.observation[0], of.spec.observation[1]);
            }),
            "model.safetensors: found a model of another system, with 'slider' as component 1 of "
            "the observation, expected 'hinge'");
  EXPECT_EQ(RefusalOf([](ModelSubject& of) { of.spec.observation[1].unit = "deg"; }),
            "model.safetensors: found a model with 'hinge' in rad, expected deg");
  EXPECT_EQ(RefusalOf([](ModelSubject& of) { of.spec.action[0].name = "turn"; }),
            "model.safetensors: found a model of another system, with 'push' as component 1 of "
            "the action, expected 'turn'");
  EXPECT_EQ(RefusalOf([](ModelSubject& of) { of.spec.dt = 0.01; }),
            "model.safetensors: found a model of steps of 0.04 s, expected 0.01 s");
  EXPECT_EQ(
      RefusalOf([](ModelSubject& of) { of.encoding.sin_cos = {}; }),
      "model.safetensors: found a model learned with encoding.sin_cos = [hinge], expected []");
  EXPECT_EQ(
      RefusalOf([](ModelSubject& of) { of.encoding.absolute = {"slider"}; }),
      "model.safetensors: found a model learned with encoding.absolute = [], expected [slider]");
}

TEST(ModelSubject, OtherSizesAreSaidInComponents) {
  EXPECT_EQ(RefusalOf([](ModelSubject& of) {
              of.spec.observation.push_back({"wheel", "rad"});
            }),
            "model.safetensors: found a model of 2 components of the observation (slider, hinge), "
            "expected 3 (slider, hinge, wheel)");
}

TEST(ModelSubject, WhatALogDoesNotKnowIsNotAsked) {
  EXPECT_EQ(RefusalOf([](ModelSubject& of) {
              of.spec.dt = 0;
              for (Component& component : of.spec.observation) component.unit = "";
            }),
            "");
}

TEST(ModelSubject, RoundedTimesAreTheSamePeriod) {
  EXPECT_EQ(RefusalOf([](ModelSubject& of) { of.spec.dt = 0.0401; }), "");
}

TEST(ModelSubject, AFileOfAVersionBeforePassesAndADamagedOneDoesNot) {
  TensorFile file;
  file.source = "model.safetensors";
  EXPECT_EQ(MessageOf([&] { CheckSubject(Slider(), file); }), "");
  for (const std::string text : {"", "{", "[]", "{\"observation\":3}", "7"}) {
    file.metadata["subject"] = text;
    EXPECT_EQ(MessageOf([&] { CheckSubject(Slider(), file); }),
              "model.safetensors: metadata 'subject': found no description of a model's subject")
        << text;
  }
}

TEST(ModelSubject, IsReadBackAsItWasWritten) {
  ModelSubject written = Slider();
  written.encoding.known = {{.component = 1, .keep = 0.5, .action = 0, .gain = 2, .offset = -1}};
  const ModelSubject read = ReadSubject(FileOf(written));
  EXPECT_EQ(read.spec.dt, 0.04);
  EXPECT_EQ(read.spec.observation[1].name, "hinge");
  EXPECT_EQ(read.spec.action[0].unit, "N");
  EXPECT_EQ(read.spec.action_low, written.spec.action_low);
  EXPECT_EQ(read.spec.action_high, written.spec.action_high);
  EXPECT_EQ(read.encoding.sin_cos, written.encoding.sin_cos);
  ASSERT_EQ(read.encoding.known.size(), 1U);
  EXPECT_EQ(read.encoding.known[0].component, 1);
  EXPECT_EQ(read.encoding.known[0].keep, 0.5);
  EXPECT_EQ(read.encoding.known[0].action, 0);
  EXPECT_EQ(read.encoding.known[0].gain, 2);
  EXPECT_EQ(read.encoding.known[0].offset, -1);
  EXPECT_FALSE(read.task.has_value());
}

TEST(ModelSubject, WhatIsNoDescriptionIsRefused) {
  TensorFile file;
  file.source = "model.safetensors";
  EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadSubject(file)); }),
              testing::HasSubstr("model.safetensors: found no metadata 'subject'"));
  for (const char* text : {"", "{}", "[1]", "{\"observation\": 3}"}) {
    file.metadata["subject"] = text;
    EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadSubject(file)); }),
                testing::HasSubstr("found no description of a model's subject"));
  }
  ModelSubject beyond = Slider();
  beyond.encoding.known = {{.component = 2}};
  EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadSubject(FileOf(beyond))); }),
              testing::HasSubstr("found no description"));
}

}  // namespace
}  // namespace foreplan

// What the file of a model says that it is of, and who is refused by it.
#include "foreplan/models/model_subject.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "foreplan/core/testing/message_of.h"

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

}  // namespace
}  // namespace foreplan

#include "foreplan/runs/curve_figure.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace foreplan {
namespace {

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(CurveFigure, DrawsEveryFinitePointAndEveryLabel) {
  const std::string svg =
      CurveFigureSvg({.title = "A & B",
                      .x_label = "steps",
                      .y_label = "return",
                      .curves = {{"first", {{0, 1, 0.5}, {100, NAN, 0}, {200, 3, 0}}},
                                 {"second", {{50, -2, NAN}}}}});
  EXPECT_EQ(Count(svg, "<circle"), 3);
  EXPECT_EQ(Count(svg, "stroke-opacity"), 1);  // error bars
  EXPECT_NE(svg.find("A &amp; B"), std::string::npos);
  EXPECT_NE(svg.find(">first<"), std::string::npos);
  EXPECT_NE(svg.find(">second<"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(CurveFigure, OfNothingOrOfOneValueIsStillAFigure) {
  for (const CurveFigure& figure :
       {CurveFigure{}, CurveFigure{"", "", "", {{"zero", {{0, 0, 0}}}}}}) {
    const std::string svg = CurveFigureSvg(figure);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
  }
}

}  // namespace
}  // namespace foreplan

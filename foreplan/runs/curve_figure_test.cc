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

TEST(CurveFigure, DrawsABandOnceAroundItsLine) {
  const std::string svg = CurveFigureSvg(
      {.title = "",
       .x_label = "",
       .y_label = "",
       .curves = {{.label = "", .points = {{0, 1}, {10, 2}}, .is_faint = true},
                  {.label = "mean", .points = {{0, 1, 1}, {10, 2, 2}}, .has_band = true}},
       .description = ""});
  EXPECT_EQ(Count(svg, "<circle"), 0);
  // x from 64 to 690 for 0 to 10, y from 408 to 48 for 0 to 4; upwards at both, back below.
  EXPECT_EQ(Count(svg,
                  "<polygon stroke='none' fill-opacity='0.12' "
                  "points='64.0,228.0 690.0,48.0 690.0,408.0 64.0,408.0 '/>"),
            1);
  EXPECT_EQ(Count(svg, "class='series-0'"), 2);
}

TEST(CurveFigure, OfASingleValueIsAMark) {
  const std::string svg =
      CurveFigureSvg({.title = "",
                      .x_label = "",
                      .y_label = "",
                      .curves = {{.label = "one", .points = {{5, 1, NAN}}, .has_band = true}},
                      .description = ""});
  EXPECT_EQ(Count(svg, "<circle"), 1);
  EXPECT_EQ(Count(svg, "<polygon"), 0);
}

TEST(CurveFigure, HoldsAnyLabelWithoutHarm) {
  const std::string label = "<script>\"'&\x01\xff|`.. and so on for more than one line";
  for (const bool is_narrow : {false, true}) {
    const std::string svg = CurveFigureSvg({.title = label,
                                            .x_label = label,
                                            .y_label = label,
                                            .curves = {{.label = label, .points = {{0, 1}}}},
                                            .description = label,
                                            .is_narrow = is_narrow});
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(svg.find_first_of("\x01\xff"), std::string::npos);
    EXPECT_NE(svg.find("aria-label=\"&lt;script&gt;&quot;'&amp;��|`.. and so on"),
              std::string::npos)
        << svg;
    const std::string last = is_narrow ? ">than one line<" : ">for more than one line<";
    EXPECT_NE(svg.find(last), std::string::npos) << svg;
  }
}

TEST(CurveFigure, GrowsWithItsLegend) {
  CurveFigure figure{
      .title = "", .x_label = "", .y_label = "", .curves = {}, .description = "words"};
  for (int i = 0; i < 40; ++i) figure.curves.push_back({.label = "one", .points = {{0, 1}}});
  const std::string svg = CurveFigureSvg(figure);
  EXPECT_NE(svg.find("viewBox='0 0 960 856'"), std::string::npos) << svg.substr(0, 100);
  EXPECT_NE(svg.find("aria-label=\"words\""), std::string::npos);
}

TEST(CurveFigure, OfNothingOrOfOneValueIsStillAFigure) {
  for (const CurveFigure& figure :
       {CurveFigure{}, CurveFigure{"", "", "", {{"zero", {{0, 0, 0}}}}, "", true}}) {
    const std::string svg = CurveFigureSvg(figure);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
  }
}

}  // namespace
}  // namespace foreplan

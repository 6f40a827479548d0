#include "foreplan/runs/plain_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace foreplan {
namespace {

using testing::ElementsAre;

TEST(PlainText, KeepsCharactersAndReplacesTheRest) {
  EXPECT_EQ(PlainText("arm <b> | ± 雪 🙂"), "arm <b> | ± 雪 🙂");
  EXPECT_EQ(PlainText("a\nb\tc\r"), "a b c ");
  EXPECT_EQ(PlainText(std::string("a\0b\x1b[31m\x7f", 9)), "a�b�[31m�");
  EXPECT_EQ(PlainText("\xc2\x85|\xe2\x80\xae|\xef\xbf\xbf"), "�|�|�");  // C1, an override, U+FFFF
}

TEST(PlainText, KnowsWhatIsNoUtf8) {
  EXPECT_EQ(PlainText("\xff"), "�");
  EXPECT_EQ(PlainText("\xc0\xaf"), "��");            // '/' in two bytes
  EXPECT_EQ(PlainText("\xed\xa0\x80"), "���");       // a surrogate
  EXPECT_EQ(PlainText("\xf4\x90\x80\x80"), "����");  // beyond U+10FFFF
  EXPECT_EQ(PlainText("a\xe2\x82"), "a��");          // cut short
}

TEST(WithoutMiddle, LeavesOutWhatIsTooMuchBetweenTwoCharacters) {
  EXPECT_EQ(WithoutMiddle("0123456789", 10), "0123456789");
  EXPECT_EQ(WithoutMiddle("0123456789", 8), "0123 ... 6789");
  EXPECT_EQ(WithoutMiddle("012\u00e4456\u00f689", 8), "012 ... \u00f689");
}

TEST(ColumnsOf, CountsCharacters) {
  EXPECT_EQ(ColumnsOf(""), 0);
  EXPECT_EQ(ColumnsOf("±1"), 2);
  EXPECT_EQ(ColumnsOf("▁▂▃"), 3);
}

TEST(WrappedText, BreaksBehindBlanksOrAnywhere) {
  EXPECT_THAT(WrappedText("", 5), ElementsAre(""));
  EXPECT_THAT(WrappedText("a bc def", 8), ElementsAre("a bc def"));
  EXPECT_THAT(WrappedText("a bc def", 7), ElementsAre("a bc", "def"));
  EXPECT_THAT(WrappedText("a bc def", 4), ElementsAre("a bc", "def"));
  EXPECT_THAT(WrappedText("abcdefg", 3), ElementsAre("abc", "def", "g"));
  EXPECT_THAT(WrappedText("±±± ±", 2), ElementsAre("±±", "±", "±"));
  EXPECT_THAT(WrappedText("ab", 0), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace foreplan

#include "foreplan/data/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/tensor_checksums.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

class Safetensors : public testing::Test {
 protected:
  ~Safetensors() override { std::filesystem::remove(file_); }

  const std::filesystem::path file_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".safetensors");
};

/// True when `bytes` are a valid file; an InputError's message goes to `message`.
bool Reads(std::string_view bytes, std::string* message = nullptr) {
  try {
    ParseTensors(bytes, "x.safetensors");
    return true;
  } catch (const InputError& error) {
    if (message != nullptr) *message = error.what();
    return false;
  }
}

TensorFile SmallFile() {
  TensorFile file;
  file.tensors["weight"] = {{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}};
  file.tensors["bias"] = {{2}, std::vector<double>{0.1, -1e300}};
  file.tensors["count"] = {{}, std::vector<int32_t>{-7}};
  file.tensors["empty"] = {{0, 4}, std::vector<double>{}};
  file.metadata = {{"kind", "ensemble"}, {"note", "a \"b\"\n\xc3\xa9"}};
  return file;
}

/// `file` may have other metadata besides.
bool HoldsAllOf(const TensorFile& file, const TensorFile& written) {
  return std::equal(file.tensors.begin(), file.tensors.end(), written.tensors.begin(),
                    written.tensors.end(),
                    [](const auto& a, const auto& b) {
                      return a.first == b.first && a.second.shape == b.second.shape &&
                             a.second.values == b.second.values;
                    }) &&
         std::includes(file.metadata.begin(), file.metadata.end(), written.metadata.begin(),
                       written.metadata.end());
}

std::string WithHeader(std::string_view header, std::string_view data = "") {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes.append(header).append(data);
}

TEST_F(Safetensors, WhatIsWrittenReadsBackToTheSameBits) {
  TensorFile written = SmallFile();
  written.tensors["odd"] = {
      {4},
      std::vector<float>{std::numeric_limits<float>::infinity(), -0.0f, 1e-45f, std::nanf("")}};
  WriteTensors(file_, written);
  const TensorFile read = ReadTensors(file_);
  EXPECT_EQ(read.source, file_.string());
  EXPECT_EQ(read.metadata, written.metadata);
  ASSERT_EQ(read.tensors.size(), written.tensors.size());
  for (const auto& [name, tensor] : SmallFile().tensors) {
    EXPECT_EQ(read.tensors.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(read.tensors.at(name).values, tensor.values) << name;
  }
  const std::array<int64_t, 1> shape = {4};
  EXPECT_EQ(std::memcmp(read.Floats("odd", shape).data(), written.Floats("odd", shape).data(), 16),
            0);
}

TEST_F(Safetensors, BytesAreTheFormatsAndAlwaysTheSame) {
  TensorFile file;
  file.tensors["b"] = {{1}, std::vector<double>{1}};
  file.tensors["a"] = {{1, 2}, std::vector<int32_t>{2, 3}};
  file.metadata["k"] = "v";
  WriteTensors(file_, file);
  const std::string entries = R"("a":{"data_offsets":[8,16],"dtype":"I32","shape":[1,2]},)"
                              R"("b":{"data_offsets":[0,8],"dtype":"F64","shape":[1]}})";
  const std::string data("\0\0\0\0\0\0\xf0\x3f\2\0\0\0\3\0\0\0", 16);
  std::string header =
      fmt::format(R"({{"__metadata__":{{"crc32c":"{:08x} {:08x} {:08x}","k":"v"}},{})",
                  Crc32c(R"({"__metadata__":{"k":"v"},)" + entries), Crc32c(data.substr(0, 8)),
                  Crc32c(data.substr(8)), entries);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(ReadFile(file_), WithHeader(header, data));
}

TEST_F(Safetensors, AnEmptyFileIsAFile) {
  WriteTensors(file_, TensorFile{});
  const TensorFile read = ReadTensors(file_);
  EXPECT_TRUE(read.tensors.empty());
  EXPECT_TRUE(read.metadata.empty());
}

// What another program may write: any order of the header, any order of the data, white space.
TEST_F(Safetensors, OtherLayoutsAreRead) {
  const TensorFile read =
      ParseTensors(WithHeader(
                       R"({ "b" : {"shape":[1],"dtype":"I32","data_offsets":[4,8]},
           "a" : {"shape":[],"dtype":"I32","data_offsets":[0,4]} }   )",
                       std::string_view("\1\0\0\0\2\0\0\0", 8)),
                   "x.safetensors");
  EXPECT_EQ(read.Ints("a", {}), std::vector<int32_t>{1});
  EXPECT_EQ(read.Ints("b", std::array<int64_t, 1>{1}), std::vector<int32_t>{2});
}

TEST_F(Safetensors, MalformedFilesNameFileFoundAndExpected) {
  const std::string ints = R"("dtype":"I32","shape":[2],"data_offsets":[0,8])";
  const std::string four(4, '\1');
  const std::string eight(8, '\1');
  const struct {
    std::string bytes;
    std::string fragment;
  } cases[] = {
      {"", "found 0 bytes"},
      {"\1\2\3", "found 3 bytes"},
      {std::string(8, '\0'), "a header of 0"},
      {std::string(8, '\xff') + "{}", "a header of 18446744073709551615"},
      {WithHeader("{}").substr(0, 9), "found 9 bytes and a header of 2"},
      {WithHeader("[]"), "a header that is no JSON object"},
      {WithHeader(" {}"), "a header that is no JSON object"},
      {WithHeader("{\"a\""), "malformed JSON at byte 5"},
      {WithHeader("{}x"), "malformed JSON"},
      {WithHeader("{\"\xff\":1}"), "malformed JSON"},
      {WithHeader("{}", "x"), "found 1 bytes of data, expected 0"},
      {WithHeader("{\"a\":" + std::string(1000000, '[')), "found a deeply nested header"},
      {WithHeader(R"({"a":{)" + ints + R"(},"a":{)" + ints + "}}", eight), "found \"a\" twice"},
      {WithHeader(R"({"a":{"dtype":"F32",)" + ints + "}}", eight), "found \"dtype\" twice"},
      {WithHeader(R"({"__metadata__":{"k":1}})"), "other things in __metadata__"},
      {WithHeader(R"({"__metadata__":[]})"), "other things in __metadata__"},
      {WithHeader(R"({"a":7})"), "tensor \"a\": found no JSON object"},
      {WithHeader(R"({"a":{}})"), "found no dtype, expected dtype F32, F64, I32 or U8"},
      {WithHeader(R"({"a\nb":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", four),
       "tensor \"a\\nb\": found dtype \"BF16\", expected dtype F32, F64, I32 or U8"},
      {WithHeader(R"({"a":{"dtype":"I32","data_offsets":[0,4]}})", four), "shape: an array"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[1]}})", four), "data_offsets: an array"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[-1],"data_offsets":[0,4]}})", four),
       "found a wrong value, expected shape"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[1.5],"data_offsets":[0,4]}})", four),
       "found a wrong value, expected shape"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[1],"data_offsets":[0]}})", four),
       "found a wrong entry"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[1],"data_offsets":[4,0]}})", four),
       "found a wrong entry"},
      {WithHeader(R"({"a":{"extra":1,"dtype":"I32","shape":[1],"data_offsets":[0,4]}})", four),
       "found a wrong entry"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[3],"data_offsets":[0,8]}})", eight),
       "found 8 bytes of data, expected as many as shape [3] of I32 needs"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[1],"data_offsets":[0,7]}})", eight),
       "found 7 bytes of data"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"),
       "found 0 bytes of data"},
      {WithHeader(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})"),
       "found 0 bytes of data"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
                  four),
       "found 4 bytes of data"},
      {WithHeader("{\"a\":{" + ints + "}}", four), "them to start at 0 and to end by 4"},
      {WithHeader("{\"a\":{" + ints + "}}", eight + four),
       "found 12 bytes of data, expected 8 as the header says"},
      {WithHeader("{\"a\":{" + ints + "},\"b\":{" + ints + "}}", eight),
       "tensor \"b\": found data_offsets [0, 8], expected them to start at 8"},
      {WithHeader(R"({"a":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}})", eight),
       "them to start at 0"},
  };
  for (const auto& [bytes, fragment] : cases) {
    std::string message;
    EXPECT_FALSE(Reads(bytes, &message)) << fragment;
    EXPECT_THAT(message, testing::StartsWith("x.safetensors: "));
    EXPECT_THAT(message, HasSubstr(fragment));
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST_F(Safetensors, NoChangedOrMissingByteBreaksTheReader) {
  const TensorFile written = SmallFile();
  WriteTensors(file_, written);
  const std::string bytes = ReadFile(file_);
  for (size_t at = 0; at < bytes.size(); ++at) {
    EXPECT_FALSE(Reads(bytes.substr(0, at))) << at;
    EXPECT_FALSE(Reads(bytes.substr(at + 1))) << at;
    for (const int flip : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      // What still reads is another spelling of the same header.
      EXPECT_TRUE(!Reads(changed) || HoldsAllOf(ParseTensors(changed, "x"), written)) << at;
    }
  }
  EXPECT_FALSE(Reads(bytes + '\0'));
}

// With the message that says where.
TEST_F(Safetensors, ChecksumsNameWhatWasChanged) {
  WriteTensors(file_, SmallFile());
  const std::string bytes = ReadFile(file_);
  const auto message_of = [&](size_t at) -> std::string {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x01);
    try {
      ParseTensors(changed, "x");
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message_of(bytes.size() - 1), testing::StartsWith("x: tensor 'weight': found check"));
  EXPECT_THAT(message_of(bytes.size() - 25), testing::StartsWith("x: tensor 'count': found check"));
  EXPECT_THAT(message_of(bytes.find("weight")), testing::StartsWith("x: header: found checksum "));
  EXPECT_THAT(message_of(bytes.find(kChecksumsKey) + kChecksumsKey.size() + 3),
              testing::StartsWith("x: header: found checksum "));
  EXPECT_THAT(message_of(bytes.find("crc32c") + kChecksumsKey.size() + 3 + 8),
              testing::StartsWith("x: metadata 'crc32c': found checksum "));
}

// Other programs keep metadata when they write other numbers: that is a change like any other; one
// that drops them writes a file without checksums, which is read as it is.
TEST_F(Safetensors, AFileWithoutChecksumsIsRead) {
  const std::string data("\1\0\0\0", 4);
  const std::string entry = R"("a":{"data_offsets":[0,4],"dtype":"I32","shape":[1]}})";
  EXPECT_EQ(ParseTensors(WithHeader("{" + entry, data), "x").Ints("a", std::array<int64_t, 1>{1}),
            std::vector<int32_t>{1});
  for (const char* checksums : {"", "00000000", "00000000 00000000", "x"}) {
    const std::string header =
        fmt::format(R"({{"__metadata__":{{"crc32c":"{}"}},{})", checksums, entry);
    EXPECT_THROW(ParseTensors(WithHeader(header, data), "x"), InputError) << checksums;
  }
}

TEST_F(Safetensors, GettersNameTensorFoundAndExpected) {
  const TensorFile file = SmallFile();
  EXPECT_EQ(file.Floats("weight", std::array<int64_t, 2>{-1, 3}).size(), 6u);
  EXPECT_EQ(file.Doubles("bias", std::array<int64_t, 1>{2})[1], -1e300);
  EXPECT_EQ(file.Ints("count", {}), std::vector<int32_t>{-7});
  const auto message_of = [](const auto& read) -> std::string {
    try {
      read();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message_of([&] {
              return file.Doubles("weight", std::array<int64_t, 2>{2, 3});
            }),
            "tensors: tensor 'weight': found F32 [2, 3], expected F64 [2, 3]");
  EXPECT_EQ(message_of([&] {
              return file.Floats("weight", std::array<int64_t, 2>{3, -1});
            }),
            "tensors: tensor 'weight': found F32 [2, 3], expected F32 [3, any]");
  EXPECT_EQ(message_of([&] { return file.Floats("weight", std::array<int64_t, 1>{6}); }),
            "tensors: tensor 'weight': found F32 [2, 3], expected F32 [6]");
  TensorFile named = file;
  named.source = "model.safetensors";
  EXPECT_EQ(message_of([&] { return named.Ints("counts", {}); }),
            "model.safetensors: tensor 'counts': found none of that name, expected I32 []");
}

TEST_F(Safetensors, WriterRefusesWhatItCouldNotReadBack) {
  const std::pair<std::string, Tensor> cases[] = {
      {"a", {{3}, std::vector<float>{1, 2}}},
      {"a", {{-1}, std::vector<float>{1}}},
      {"__metadata__", {{1}, std::vector<float>{1}}},
      {"\xff", {{1}, std::vector<float>{1}}},
  };
  for (const auto& [name, tensor] : cases) {
    TensorFile file;
    file.tensors[name] = tensor;
    EXPECT_THROW(WriteTensors(file_, file), InputError) << name;
  }
  TensorFile file;
  file.metadata["crc32c"] = "00000000";
  EXPECT_THROW(WriteTensors(file_, file), InputError);
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(Safetensors, WhatTheWriterTakesTheReaderTakesUpToTheLimitOfTheHeader) {
  TensorFile file;
  const size_t frame = std::string_view(R"({"__metadata__":{"crc32c":"01234567","k":""}})").size();
  file.metadata["k"] = std::string(100'000'000 - frame, 'x');
  WriteTensors(file_, file);
  EXPECT_EQ(ReadTensors(file_).metadata.at("k").size(), file.metadata["k"].size());
  std::filesystem::remove(file_);
  file.metadata["k"] += "x";
  try {
    WriteTensors(file_, file);
    FAIL();
  } catch (const RunError& error) {
    EXPECT_EQ(error.what(), file_.string() +
                                ": found names and metadata of 100000008 bytes, "
                                "expected at most 100000000");
  }
  EXPECT_FALSE(std::filesystem::exists(file_));
}

}  // namespace
}  // namespace foreplan

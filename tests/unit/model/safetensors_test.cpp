#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "hash/blake3.h"
#include "model/folder.h"
#include "scratch.h"

namespace aftune::model {
namespace {

Bytes file_of(const std::string& header, std::size_t data_bytes) {
  Bytes file(8 + header.size() + data_bytes);
  const std::uint64_t size = header.size();
  std::memcpy(file.data(), &size, sizeof size);
  std::memcpy(file.data() + 8, header.data(), header.size());
  return file;
}

void expect_refused(const Bytes& file, const std::string& part) {
  try {
    parse_safetensors(file);
    FAIL() << "accepted; expected: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

void expect_refused(const std::string& header, std::size_t data_bytes, const std::string& part) {
  SCOPED_TRACE(header);
  expect_refused(file_of(header, data_bytes), part);
}

TEST(Safetensors, ReadsTheOfficialExample) {
  const Bytes file = file_of(R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})", 16);
  ASSERT_EQ(std::to_integer<int>(file[0]), 0x3c);
  const auto entries = parse_safetensors(file);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(describe(entries.at("test").spec), "test I32 [2, 2]");
  EXPECT_EQ(entries.at("test").bytes.data(), file.data() + 8 + 0x3c);
}

TEST(Safetensors, AnEmptyFileMayEndInBlanks) {
  EXPECT_TRUE(parse_safetensors(file_of("{}\r \t\n", 0)).empty());
}

TEST(Safetensors, ScalarsAndEmptyTensorsAreLegal) {
  const auto entries = parse_safetensors(
      file_of(R"({"b":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]},)"
              R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"__metadata__":{"format":"pt"}})",
              4));
  EXPECT_EQ(entries.at("a").bytes.size(), 4u);
  EXPECT_EQ(entries.at("b").bytes.size(), 0u);
}

TEST(Safetensors, RefusesBadLengths) {
  expect_refused(Bytes(7), "only 7 bytes");
  expect_refused(Bytes(8), "does not begin with '{'");
  Bytes file = file_of("{}", 0);
  file[0] = std::byte{3};
  expect_refused(file, "does not fit the file");
  for (int i = 0; i < 8; ++i) file[static_cast<std::size_t>(i)] = std::byte{0xff};
  expect_refused(file, "is larger than");
}

TEST(Safetensors, RefusesHeadersThatAreNotTheFormats) {
  expect_refused(" {}", 0, "does not begin with '{'");
  expect_refused("[]", 0, "does not begin with '{'");
  expect_refused("{\"\xff\":1}", 0, "UTF-8");
  expect_refused("{", 0, "not JSON");
  expect_refused(R"({"a":1})", 0, "not a JSON object");
  expect_refused(R"({"__metadata__":{"format":1}})", 0, "not a string");
  expect_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "duplicate");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                 R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                 8, "duplicate");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":0}})", 4, "more");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1]}})", 4, "data_offsets");
  expect_refused(R"({"a":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}})", 16, "F128");
  expect_refused(R"({"a":{"dtype":"F32","shape":[[[[1]]]],"data_offsets":[0,4]}})", 4, "nested deeper");
}

TEST(Safetensors, RefusesNumbersThatAreNotSizes) {
  for (const char* shape : {"[-1]", "[1.0]", "[\"1\"]", "[null]", "[[1]]", "{}", "1"})
    expect_refused(cat(R"({"a":{"dtype":"F32","shape":)", shape, R"(,"data_offsets":[0,4]}})"), 4, "\"a\"");
  for (const char* offsets : {"[0]", "[0,4,4]", "[]", "[0,4.0]", "[-4,0]", "[\"0\",4]", "4"})
    expect_refused(cat(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)", offsets, "}}"), 4, "\"a\"");
}

TEST(Safetensors, RefusesOverflowingShapes) {
  for (const char* shape : {"[2,18446744073709551614]", "[4294967296,4294967296,4294967296]",
                            "[4611686018427387904,4]", "[9007199254740991,9007199254740991]"}) {
    const std::string header = cat(R"({"a":{"dtype":"I32","shape":)", shape, R"(,"data_offsets":[0,16]}})");
    SCOPED_TRACE(header);
    EXPECT_THROW(parse_safetensors(file_of(header, 16)), Error);
  }
  expect_refused(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
                 4, "dimensions");
}

std::string two(const char* a, const char* b) {
  return cat(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)", a,
             R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)", b, "}}");
}

TEST(Safetensors, TensorsMustTileTheData) {
  EXPECT_EQ(parse_safetensors(file_of(two("[4,8]", "[0,4]"), 8)).size(), 2u);
  expect_refused(two("[0,4]", "[0,4]"), 4, "begins at 0, expected 4");    // overlap
  expect_refused(two("[0,4]", "[2,6]"), 6, "begins at 2, expected 4");    // partly
  expect_refused(two("[0,4]", "[8,12]"), 12, "begins at 8, expected 4");  // hole
  expect_refused(two("[4,8]", "[8,12]"), 12, "begins at 4, expected 0");
  expect_refused(two("[0,4]", "[4,8]"), 9, "end at 8 of 9");
  expect_refused(two("[0,4]", "[4,8]"), 7, "outside the file");
  expect_refused(two("[0,4]", "[8,4]"), 8, "outside the file");  // backwards
  expect_refused(two("[0,4]", "[4,18446744073709551615]"), 8, "outside the file");
  expect_refused(two("[0,4]", "[4,12]"), 12, "8 bytes, expected 4");
}

TEST(Safetensors, RefusesAHeaderOfCountlessValues) {
  std::string header = "{\"a\":[0";
  for (int i = 0; i < 3'000'000; ++i) header += ",0";
  expect_refused(file_of(header + "]}", 0), "JSON of more than 1200000 values");
  header = "{";
  for (int i = 0; i < 100'001; ++i) header += cat(i == 0 ? "" : ",", '"', i, "\":{}");
  expect_refused(file_of(header + "}", 0), "more than 100000 tensors");
}

// The file that the safetensors package 0.6 writes for these tensors; the digest is of its bytes.
TEST(Safetensors, WritesWhatTheOfficialWriterWrites) {
  const testing_support::Scratch scratch("safetensors");
  const std::map<std::string, std::string> values = {
      {"a.brain", {"\x80\x3f\x00\x40", 4}},
      {"b.half", {"\x00\x3c\x00\xc0\x00\x38", 6}},
      {"empty", ""},
      {"ids", {"\x07\x00\x00\x00\xff\xff\xff\xff", 8}},
      {"model.w", {"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40", 16}},
      {"z", {"\x00\x00\xc0\x3f", 4}}};
  const std::vector<TensorSpec> specs = {{"z", DType::kF32, {1}},        {"b.half", DType::kF16, {3}},
                                         {"ids", DType::kI32, {2}},      {"a.brain", DType::kBF16, {1, 2}},
                                         {"empty", DType::kF32, {0, 3}}, {"model.w", DType::kF32, {2, 2}}};
  const Digest digest = write_safetensors(scratch / "x.safetensors", specs, [&](const TensorSpec& spec) {
    return as_bytes(values.at(spec.name));
  });
  EXPECT_EQ(to_hex(digest), "ad4f37dae75a89bcc4ddfe10fec59a8dafe835059c75c63724a8c227b892c689");
  EXPECT_EQ(hash::blake3(read_file(scratch / "x.safetensors", 1 << 20)), digest);

  const Checkpoint back = Checkpoint::open_file(scratch / "x.safetensors");
  EXPECT_EQ(back.entries().size(), specs.size());
  for (const TensorSpec& spec : specs) {
    ASSERT_NE(back.find(spec.name), nullptr);
    EXPECT_EQ(back.find(spec.name)->spec, spec);
    EXPECT_EQ(as_text(back.find(spec.name)->bytes), values.at(spec.name));
  }
}

TEST(Safetensors, AFailedWriteLeavesNothing) {
  const testing_support::Scratch scratch("safetensors");
  const auto fails = [](const TensorSpec&) -> ByteView { fail(Fault::kSystem, "no more"); };
  EXPECT_THROW(write_safetensors(scratch / "x.safetensors", {{"a", DType::kF32, {1}}}, fails), Error);
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

}  // namespace
}  // namespace aftune::model

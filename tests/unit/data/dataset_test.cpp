#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "data/dataset.h"

namespace aftune::data {
namespace {

class DatasetTest : public testing::Test {
 protected:
  Dataset dataset_of(std::string_view text) {
    write_file(path_, text);
    return Dataset::read(path_);
  }

  // The message without the path, which is always in front.
  std::string error_of(std::string_view text) {
    try {
      dataset_of(text);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage);
      const std::string prefix = path_.native() + ": ";
      EXPECT_TRUE(std::string_view(e.what()).starts_with(prefix)) << e.what();
      return std::string(e.what()).substr(prefix.size());
    }
    return "accepted";
  }

  void TearDown() override { fs::remove(path_); }

 private:
  fs::path path_ = fs::path(AFTUNE_SCRATCH_DIR) / cat("dataset-", ::getpid(), ".jsonl");
};

TEST_F(DatasetTest, RowsAreLinesWithoutTheirLineFeed) {
  const Dataset dataset = dataset_of("{\"text\":\"a\"}\n{}\n\"é\"\n");
  ASSERT_EQ(dataset.rows(), 3);
  EXPECT_EQ(dataset.row(0), "{\"text\":\"a\"}");
  EXPECT_EQ(dataset.row(1), "{}");
  EXPECT_EQ(dataset.row(2), "\"é\"");
}

TEST_F(DatasetTest, TheLastLineNeedsNoLineFeed) {
  const Dataset with = dataset_of("a\nb\n");
  const Digest root = with.root();
  const Dataset without = dataset_of("a\nb");
  ASSERT_EQ(without.rows(), 2);
  EXPECT_EQ(without.row(1), "b");
  EXPECT_EQ(without.root(), root);
}

TEST_F(DatasetTest, RootIsTheRfc6962RootOfTheRows) {
  const Dataset dataset = dataset_of("one\ntwo\nthree\n");
  const Digest left = hash::node_hash(hash::leaf_hash("one"), hash::leaf_hash("two"));
  EXPECT_EQ(dataset.root(), hash::node_hash(left, hash::leaf_hash("three")));
  EXPECT_EQ(dataset_of("one").root(), hash::leaf_hash("one"));
}

TEST_F(DatasetTest, BadLinesAreRefusedWithTheirNumber) {
  EXPECT_EQ(error_of(""), "no rows: the file is empty");
  EXPECT_EQ(error_of("\n"), "row 1 (line 1): blank line");
  EXPECT_EQ(error_of("a\n\nb\n"), "row 2 (line 2): blank line");
  EXPECT_EQ(error_of("a\nb\n\n"), "row 3 (line 3): blank line");
  EXPECT_EQ(error_of("a\n \t\nb"), "row 2 (line 2): blank line");
  EXPECT_EQ(error_of("a\n\r\nb"), "row 2 (line 2): blank line");
  EXPECT_EQ(error_of("a\nb\r\n"), "row 2 (line 2): ends in CR: lines must end in LF alone");
  EXPECT_EQ(error_of("a\nb\r"), "row 2 (line 2): ends in CR: lines must end in LF alone");
  EXPECT_EQ(error_of("\xef\xbb\xbf{}\n"), "row 1 (line 1): starts with a byte order mark");
  EXPECT_EQ(error_of("a\n\xef\xbb\xbf{}\n"), "row 2 (line 2): starts with a byte order mark");
  EXPECT_EQ(error_of("a\nb\nc\xc3\n"), "row 3 (line 3): not UTF-8");
  EXPECT_EQ(error_of("\xed\xa0\x80"), "row 1 (line 1): not UTF-8");
  EXPECT_EQ(error_of(std::string_view("a\0b\n", 4)), "accepted");  // the JSON parser will refuse the NUL
}

TEST_F(DatasetTest, MissingFilesAndFoldersAreUsageErrors) {
  for (const char* path : {"/no/such/file.jsonl", "/tmp"}) {
    try {
      Dataset::read(path);
      FAIL() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage) << e.what();
    }
  }
}

}  // namespace
}  // namespace aftune::data

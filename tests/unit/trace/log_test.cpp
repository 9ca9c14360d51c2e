#include "trace/log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "base/error.h"
#include "faults.h"
#include "scratch.h"

namespace aftune::trace {
namespace {

using testing_support::fault_of;
using testing_support::Scratch;

TEST(Log, WhatIsAppendedIsRead) {
  const Scratch scratch("log");
  {
    LogWriter writer(scratch / "log.jsonl");
    writer.append({"{}", "{\"a\":1}"});
    writer.append({"[]"});
  }
  LogWriter(scratch / "log.jsonl").append({"last"});
  const Log log = Log::read(scratch / "log.jsonl");
  EXPECT_EQ(log.leaves, (std::vector<std::string>{"{}", "{\"a\":1}", "[]", "last"}));
  EXPECT_FALSE(log.torn);
  EXPECT_EQ(log.tree().size(), 4u);
  EXPECT_EQ(log.tree().leaves()[1], hash::leaf_hash("{\"a\":1}"));
}

TEST(Log, ATornLineIsLeftOutAndThenCut) {
  const Scratch scratch("log");
  const std::string whole = "one\ntwo\n";
  for (const std::string& torn : {std::string("x"), std::string(10000, 'y')}) {
    write_file(scratch / "log.jsonl", whole + torn);
    const Log log = Log::read(scratch / "log.jsonl");
    EXPECT_TRUE(log.torn);
    EXPECT_EQ(log.leaves.size(), 2u);
    LogWriter(scratch / "log.jsonl").append({"three"});
    EXPECT_EQ(read_file(scratch / "log.jsonl", 1000), whole + "three\n");
  }
  write_file(scratch / "log.jsonl", std::string(5000, 'z'));
  LogWriter(scratch / "log.jsonl").append({"first"});
  EXPECT_EQ(read_file(scratch / "log.jsonl", 1000), "first\n");
}

TEST(Log, RefusesWhatIsNotAListOfLines) {
  const Scratch scratch("log");
  const fs::path path = scratch / "log.jsonl";
  EXPECT_EQ(fault_of([&] { Log::read(path); }), Fault::kUsage);
  using namespace std::string_literals;
  for (const std::string& bad : {"a\n\nb\n"s, "\n"s, "a\r\nb\n"s,
                                 "\xef\xbb\xbf"
                                 "a\n"s,
                                 "a\0b\n"s, std::string(65536, 'a') + "\n"}) {
    write_file(path, bad);
    EXPECT_EQ(fault_of([&] { Log::read(path); }), Fault::kEvidence) << bad.substr(0, 20);
  }
  write_file(path, std::string(65535, 'a') + "\n");
  EXPECT_EQ(Log::read(path).leaves.size(), 1u);
  fs::remove(path);
  fs::create_symlink("/etc/passwd", path);
  EXPECT_THROW(Log::read(path), Error);
  EXPECT_THROW(LogWriter{path}, Error);
}

TEST(Log, ADiskThatIsFullLeavesTheCommittedLinesAlone) {
  const Scratch scratch("log");
  LogWriter writer(scratch / "log.jsonl");
  writer.append({"committed"});
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{5000, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Fault fault = fault_of([&] { writer.append({std::string(4000, 'a'), std::string(4000, 'b')}); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(fault, Fault::kSystem);
  EXPECT_EQ(read_file(scratch / "log.jsonl", 100000), "committed\n");
  writer.append({"again"});
  EXPECT_EQ(read_file(scratch / "log.jsonl", 100000), "committed\nagain\n");
}

}  // namespace
}  // namespace aftune::trace

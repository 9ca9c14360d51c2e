#include "base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/error.h"

namespace aftune {
namespace {

class Files : public testing::Test {
 protected:
  Files() : folder_(fs::path(AFTUNE_SCRATCH_DIR) / cat("files_test.", ::getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }

  fs::path at(std::string_view name) const { return folder_ / name; }
  std::vector<std::string> listing() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder_)) out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }

  fs::path folder_;
};

template <class Body>
std::string refusal(Fault fault, Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), fault) << e.what();
    return e.what();
  }
  return "accepted";
}

// What a child process made of `body`: its exit code, or 100 + the signal that ended it.
template <class Body>
int in_child(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

using Names = std::vector<std::string>;

TEST_F(Files, ReadsBackWhatWasWritten) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100000}}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7);
    write_file(at("f"), text);
    EXPECT_EQ(read_file(at("f"), size), text);
    const MappedFile mapped(at("f"));
    EXPECT_EQ(as_text(mapped.bytes()), text);
  }
  EXPECT_EQ(listing(), Names{"f"});
}

TEST_F(Files, ModeIsThatAskedFor) {
  const mode_t old = ::umask(022);
  write_file(at("secret"), "x", 0600);
  write_file(at("public"), "x");
  ::umask(old);
  EXPECT_EQ(fs::status(at("secret")).permissions(), fs::perms{0600});
  EXPECT_EQ(fs::status(at("public")).permissions(), fs::perms{0644});
}

TEST_F(Files, TooLargeIsRefusedBeforeItIsRead) {
  write_file(at("f"), "12345");
  EXPECT_EQ(refusal(Fault::kEvidence, [&] { read_file(at("f"), 4); }),
            at("f").native() + ": 5 bytes, more than the 4 allowed here");
  // A sparse file of a tebibyte takes neither time nor memory.
  ASSERT_EQ(::truncate(at("f").c_str(), off_t{1} << 40), 0);
  refusal(Fault::kEvidence, [&] { read_file(at("f"), 1 << 20); });
}

TEST_F(Files, WhatIsNoRegularFileIsRefusedAndDoesNotHang) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  fs::create_directory(at("folder"));
  for (const fs::path& path : {at("fifo"), at("folder"), fs::path("/dev/null"), fs::path("/dev/zero")}) {
    const std::string expected = path.native() + ": not a regular file";
    EXPECT_EQ(refusal(Fault::kUsage, [&] { read_file(path, 100); }), expected);
    EXPECT_EQ(refusal(Fault::kUsage, [&] { const MappedFile mapped(path); }), expected);
  }
}

TEST_F(Files, AbsentFilesAreTheUsersFault) {
  write_file(at("f"), "x");
  EXPECT_EQ(refusal(Fault::kUsage, [&] { read_file(at("absent"), 100); }),
            at("absent").native() + ": open: No such file or directory");
  EXPECT_EQ(refusal(Fault::kUsage, [&] { read_file(at("f") / "below", 100); }),
            (at("f") / "below").native() + ": open: Not a directory");
  refusal(Fault::kUsage, [&] { read_file(at(std::string(300, 'x')), 100); });
  refusal(Fault::kUsage, [&] { const MappedFile mapped(at("absent")); });
  refusal(Fault::kUsage, [&] { write_file(at("absent") / "f", "x"); });
}

TEST_F(Files, LinksAreFollowedOnlyWhereAllowed) {
  write_file(at("target"), "x");
  fs::create_symlink("target", at("link"));
  EXPECT_EQ(read_file(at("link"), 100), "x");
  refusal(Fault::kUsage, [&] { read_file(at("link"), 100, Links::kRefuse); });
  refusal(Fault::kUsage, [&] { const MappedFile mapped(at("link"), Links::kRefuse); });
  EXPECT_EQ(read_file(at("target"), 100, Links::kRefuse), "x");
}

TEST_F(Files, MappedFilesMove) {
  write_file(at("f"), "content");
  MappedFile a(at("f"));
  const MappedFile b(std::move(a));
  EXPECT_EQ(as_text(b.bytes()), "content");
}

TEST_F(Files, NothingAppearsUntilCommit) {
  write_file(at("f"), "old");
  {
    AtomicFile file(at("f"));
    file.write("new");
    EXPECT_EQ(read_file(at("f"), 100), "old");
  }
  EXPECT_EQ(read_file(at("f"), 100), "old");
  EXPECT_EQ(listing(), Names{"f"});
  AtomicFile file(at("f"));
  file.write("ne");
  file.write("w");
  file.commit();
  EXPECT_EQ(read_file(at("f"), 100), "new");
  EXPECT_EQ(listing(), Names{"f"});
}

TEST_F(Files, TwoWritersOfOneNameDoNotMix) {
  AtomicFile a(at("f")), b(at("f"));
  a.write("aaaa");
  b.write("bb");
  a.commit();
  EXPECT_EQ(read_file(at("f"), 100), "aaaa");
  b.commit();
  EXPECT_EQ(read_file(at("f"), 100), "bb");
  EXPECT_EQ(listing(), Names{"f"});
}

TEST_F(Files, ALinkUnderTheTemporaryNameIsNotWrittenThrough) {
  write_file(at("victim"), "untouched");
  fs::path temporary;
  {
    AtomicFile probe(at("f"));
    temporary = probe.temporary();
  }
  // Whatever names are tried, none of them may follow a link that was put there.
  fs::create_symlink("victim", temporary);
  try {
    write_file(at("f"), "x");
  } catch (const Error&) {
  }
  EXPECT_EQ(read_file(at("victim"), 100), "untouched");
}

TEST_F(Files, AFullDiskLeavesNothing) {
  // In a child, because the limit is the process's: files end at 1000 bytes, and writing on fails with EFBIG.
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{1000, 1000};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
              try {
                write_file(at("f"), std::string(2000, 'x'));
                return 2;
              } catch (const Error& e) {
                return e.fault() == Fault::kSystem ? 0 : 3;
              }
            }),
            0);
  EXPECT_EQ(listing(), Names{});
}

TEST_F(Files, AFullDiskKeepsTheOldFile) {
  write_file(at("f"), "old");
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{1000, 1000};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
              try {
                write_file(at("f"), std::string(2000, 'x'));
              } catch (const Error&) {
                return 0;
              }
              return 2;
            }),
            0);
  EXPECT_EQ(read_file(at("f"), 100), "old");
  EXPECT_EQ(listing(), Names{"f"});
}

TEST_F(Files, RenamingOntoAFolderFailsCleanly) {
  fs::create_directories(at("f") / "child");
  EXPECT_NE(refusal(Fault::kUsage, [&] { write_file(at("f"), "x"); }), "accepted");
  EXPECT_EQ(listing(), Names{"f"});
}

TEST_F(Files, ANameWithoutAFolderIsInTheCurrentOne) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file("f", "x");
  EXPECT_EQ(read_file("f", 100), "x");
  fs::current_path(before);
  EXPECT_EQ(listing(), Names{"f"});
}

TEST_F(Files, SyncNamesWhatIsAbsent) {
  write_file(at("f"), "x");
  sync_file(at("f"));
  sync_directory(folder_);
  refusal(Fault::kUsage, [&] { sync_file(at("absent")); });
  refusal(Fault::kUsage, [&] { sync_directory(at("absent")); });
  refusal(Fault::kUsage, [&] { sync_directory(at("f")); });
}

int try_lock(const fs::path& path) {
  try {
    const FileLock lock(path);
    return 0;
  } catch (const Error& e) {
    return e.fault() == Fault::kUsage && std::string_view(e.what()).find("in use") != std::string_view::npos
               ? 1
               : 2;
  }
}

TEST_F(Files, ALockKeepsOtherProcessesOut) {
  {
    const FileLock lock(at("lock"));
    EXPECT_EQ(in_child([&] { return try_lock(at("lock")); }), 1);
    EXPECT_EQ(try_lock(at("lock")), 1);  // and other holders in this one
  }
  EXPECT_EQ(in_child([&] { return try_lock(at("lock")); }), 0);
}

TEST_F(Files, ALockEndsWithItsProcess) {
  EXPECT_EQ(in_child([&] {
              const FileLock lock(at("lock"));
              ::raise(SIGKILL);
              return 0;
            }),
            100 + SIGKILL);
  EXPECT_EQ(try_lock(at("lock")), 0);
}

TEST_F(Files, ALockIsNotTakenThroughALink) {
  fs::create_symlink("elsewhere", at("lock"));
  EXPECT_EQ(try_lock(at("lock")), 2);
  EXPECT_EQ(listing(), Names{"lock"});
}

}  // namespace
}  // namespace aftune

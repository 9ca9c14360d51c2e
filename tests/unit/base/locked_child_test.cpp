#include "base/locked_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/sanitizers.h"
#include "scratch.h"

namespace aftune {
namespace {

using Line = LockedChild::Line;
using Body = std::function<void(Line&)>;

constexpr std::uint64_t kMemory = std::uint64_t{64} << 20;
constexpr std::size_t kWindow = std::size_t{1} << 16;

class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    AFTUNE_CHECK(fd_ >= 0);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { ::close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

class LockedChildTest : public testing::Test {
 protected:
  LockedChildTest() : scratch_("locked-child") {
    write_file(scratch_ / "foreign", "foreign bytes");
    write_file(scratch_ / "secret", "secret bytes");
    foreign_.emplace(scratch_ / "foreign");
  }

  // What the parent is told when the child, asked for a byte, does this and then answers.
  std::string told(const Body& body, const LockedChild::Limits& limits = {.memory = kMemory}) {
    LockedChild child(foreign_->fd(), kWindow, limits, [&](Line& line) {
      std::byte one{};
      if (!line.receive(std::span(&one, 1))) return;
      body(line);
      line.send(std::span(&one, 1));
    });
    std::byte answer{7};
    try {
      child.send(std::span(&answer, 1));
      child.receive(std::span(&answer, 1));
      return "";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kEvidence) << e.what();
      return e.what();
    }
  }

  // Every way out is a system call that the filter does not have.
  void expect_barred(const char* what, const Body& body) {
    EXPECT_EQ(told(body), "the process that reads it was killed (SIGSYS)") << what;
  }

  bool has_filters() {
    return LockedChild(foreign_->fd(), kWindow, {.memory = kMemory}, [](Line&) {}).is_filtered();
  }

  testing_support::Scratch scratch_;
  std::optional<OpenFile> foreign_;
};

TEST_F(LockedChildTest, AnswersFromItsFileAndThroughTheWindow) {
  LockedChild child(foreign_->fd(), kWindow, {.memory = kMemory}, [](Line& line) {
    std::uint32_t offset = 0;
    while (line.receive(std::as_writable_bytes(std::span(&offset, 1)))) {
      std::vector<std::byte> own(std::size_t{1} << 20);  // memory may still be taken
      const auto got = ::pread(line.file(), own.data(), 13 - offset, offset);
      std::memcpy(line.window().data(), own.data(), static_cast<std::size_t>(got));
      line.send(std::as_bytes(std::span(&got, 1)));
    }
  });
  for (std::uint32_t offset = 0; offset < 13; ++offset) {
    ssize_t size = 0;
    child.send(std::as_bytes(std::span(&offset, 1)));
    child.receive(std::as_writable_bytes(std::span(&size, 1)));
    EXPECT_EQ(as_text(child.window().first(static_cast<std::size_t>(size))),
              std::string_view("foreign bytes").substr(offset));
  }
}

TEST_F(LockedChildTest, CanDoNothingElse) {
  if (!has_filters()) GTEST_SKIP() << "this kernel does not filter system calls";
  const std::string secret = scratch_ / "secret", made = scratch_ / "made";
  expect_barred("opens a file", [&](Line&) { ::open(secret.c_str(), O_RDONLY); });
  expect_barred("makes a file", [&](Line&) { ::open(made.c_str(), O_CREAT | O_WRONLY, 0600); });
  expect_barred("makes a socket", [](Line&) { ::socket(AF_INET, SOCK_STREAM, 0); });
  expect_barred("forks", [](Line&) { ::fork(); });
  expect_barred("makes a thread", [](Line&) { ::syscall(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0, 0); });
  expect_barred("runs a program", [](Line&) { ::execl("/bin/true", "true", nullptr); });
  expect_barred("kills its parent", [](Line&) { ::syscall(SYS_kill, ::syscall(SYS_getppid), SIGTERM); });
  expect_barred("looks into its parent", [](Line&) { ::syscall(SYS_ptrace, 16, 1, 0, 0); });
  expect_barred("raises its limits", [](Line&) {
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_CPU, &none);
  });
  expect_barred("makes memory that runs", [](Line&) {
    ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  });
  expect_barred("makes its memory run",
                [](Line& line) { ::mprotect(line.window().data(), 4096, PROT_READ | PROT_EXEC); });
  expect_barred("reads another descriptor", [](Line&) {
    char c = 0;
    ::pread(0, &c, 1, 0);
  });
  expect_barred("sends elsewhere", [](Line& line) { ::send(line.file(), "x", 1, 0); });
  expect_barred("writes", [](Line&) { ::syscall(SYS_write, 1, "x", 1); });
  expect_barred("closes its socket", [](Line& line) { ::close(line.file() - 1); });
#if defined(__x86_64__)
  expect_barred("calls by the numbers of x32",
                [](Line&) { ::syscall(0x40000000 | SYS_pread64, 4, 0, 0, 0); });
#endif
  EXPECT_FALSE(fs::exists(made));
}

TEST_F(LockedChildTest, DyingIsToldAsItWas) {
  EXPECT_EQ(told([](Line&) { ::syscall(SYS_exit_group, 0); }),
            "the process that reads it ended before it had answered");
  EXPECT_EQ(told([](Line&) { throw 1; }), "the process that reads it ended before it had answered");
  if (!kSanitizers) {
    EXPECT_EQ(told([](Line&) {
                volatile std::uintptr_t nowhere = 8;
                *reinterpret_cast<volatile int*>(nowhere) = 1;
              }),
              "the process that reads it was killed (SIGSEGV)");
    EXPECT_EQ(told([](Line&) { std::vector<char>(std::size_t{1} << 28).data()[5] = 1; }),
              "the process that reads it took more memory than it may");
  }
  EXPECT_EQ(told(
                [](Line&) {
                  timespec now{};
                  while (true) ::clock_gettime(CLOCK_MONOTONIC, &now);
                },
                {.memory = kMemory, .seconds = 1}),
            "the process that reads it was killed (SIGXCPU)");
}

// A limit that the user set is the machine's, not a property of the file.
TEST_F(LockedChildTest, DyingOfTheUsersLimitIsNoEvidence) {
  if (kSanitizers) GTEST_SKIP() << "their address space is not limited";
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &old), 0);
  const auto fault = [&] {
    LockedChild child(foreign_->fd(), kWindow, {.memory = std::uint64_t{1} << 34}, [](Line& line) {
      std::byte one{};
      if (!line.receive(std::span(&one, 1))) return;
      std::vector<char>(std::size_t{1} << 33).data()[5] = 1;
    });
    std::byte one{};
    try {
      child.send(std::span(&one, 1));
      child.receive(std::span(&one, 1));
    } catch (const Error& e) {
      return e.fault();
    }
    return Fault::kUsage;
  };
  const rlimit low{rlim_t{1} << 31, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &low), 0);
  const Fault limited = fault();
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &old), 0);
  EXPECT_EQ(limited, Fault::kSystem);
}

TEST_F(LockedChildTest, SilenceEndsIt) {
  const auto silent = [](Line& line) {
    std::byte more{};
    static_cast<void>(line.receive(std::span(&more, 1)));
  };
  EXPECT_EQ(told(silent, {.memory = kMemory, .patience = 1}),
            "the process that reads it gave no answer in 1 seconds");
}

// Each answer has its own time: a long audit is no endless loop.
TEST_F(LockedChildTest, TimeIsForOneAnswer) {
  LockedChild child(foreign_->fd(), kWindow, {.memory = kMemory, .seconds = 1}, [](Line& line) {
    std::byte one{};
    while (line.receive(std::span(&one, 1))) {
      const auto begin = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(700)) {
      }
      line.send(std::span(&one, 1));
    }
  });
  for (int i = 0; i < 5; ++i) {
    std::byte one{};
    child.send(std::span(&one, 1));
    child.receive(std::span(&one, 1));
  }
}

TEST_F(LockedChildTest, OnceItHasEndedItStaysSo) {
  LockedChild child(foreign_->fd(), kWindow, {.memory = kMemory}, [](Line&) {});
  std::byte one{};
  for (int i = 0; i < 3; ++i) {
    try {
      child.send(std::span(&one, 1));
      child.receive(std::span(&one, 1));
      ADD_FAILURE() << "answered";
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()), "the process that reads it ended before it had answered");
    }
  }
}

// What was open and what was set before the fork is not there after it.
TEST_F(LockedChildTest, TakesNothingAlong) {
  // The second number is none that the child gives its own file.
  const OpenFile first(scratch_ / "secret"), secret(scratch_ / "secret");
  ::setenv("HDF5_PLUGIN_PATH", "/somewhere", 1);
  LockedChild child(foreign_->fd(), kWindow, {.memory = kMemory}, [&](Line& line) {
    AFTUNE_CHECK(secret.fd() != line.file());
    const bool env = std::getenv("HDF5_PLUGIN_PATH") != nullptr || std::getenv("PATH") != nullptr;
    line.send(std::as_bytes(std::span(&env, 1)));
    char text[16] = {};
    const ssize_t got = ::pread(secret.fd(), text, 6, 0);
    line.send(std::as_bytes(std::span(&got, 1)));
  });
  ::unsetenv("HDF5_PLUGIN_PATH");
  bool env = true;
  child.receive(std::as_writable_bytes(std::span(&env, 1)));
  EXPECT_FALSE(env);
  ssize_t got = 0;
  try {
    child.receive(std::as_writable_bytes(std::span(&got, 1)));
    EXPECT_EQ(got, -1);
    EXPECT_FALSE(child.is_filtered());
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "the process that reads it was killed (SIGSYS)");
  }
}

TEST_F(LockedChildTest, LeavesNoDescriptorAndNoProcess) {
  const auto open_descriptors = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_descriptors();
  pid_t pid = -1;
  {
    const LockedChild child(foreign_->fd(), kWindow, {.memory = kMemory}, [](Line& line) {
      std::byte one{};
      static_cast<void>(line.receive(std::span(&one, 1)));
    });
    pid = child.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(open_descriptors(), before);
}

// The end of a thread is not the end of the process: a child that it forked goes on.
TEST_F(LockedChildTest, OutlivesTheThreadThatForkedIt) {
  std::optional<LockedChild> child;
  std::thread([&] {
    child.emplace(foreign_->fd(), kWindow, LockedChild::Limits{.memory = kMemory}, [](Line& line) {
      std::byte one{};
      while (line.receive(std::span(&one, 1))) line.send(std::span(&one, 1));
    });
  }).join();
  std::byte one{9};
  child->send(std::span(&one, 1));
  one = {};
  child->receive(std::span(&one, 1));
  EXPECT_EQ(one, std::byte{9});
}

TEST_F(LockedChildTest, SeveralThreadsForkWhileOthersTakeMemory) {
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) std::string(5000, 'x').append(cat(1, 2, 3));
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i)
        EXPECT_EQ(told([](Line& line) {
                    try {
                      fail(Fault::kEvidence, "thrown and caught ", line.file());
                    } catch (const Error&) {
                    }
                  }),
                  "");
    });
  for (std::thread& t : threads) t.join();
  stop = true;
  busy.join();
}

}  // namespace
}  // namespace aftune

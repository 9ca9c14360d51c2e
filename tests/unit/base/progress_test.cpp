#include "base/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace aftune {
namespace {

void draw(bool quiet) {
  Progress progress("training", 10, quiet);
  for (std::int64_t done = 1; done <= 10; ++done) progress.update(done, "loss 1.5");
}

// What a child that draws writes to its stderr, which is `descriptor` there.
int drawing_child(int descriptor, bool quiet) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(descriptor, STDERR_FILENO);
    draw(quiet);
    std::fflush(stderr);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

std::string read_available(int descriptor) {
  std::string out(100000, '\0');
  const ssize_t got = ::read(descriptor, out.data(), out.size());
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

// What comes before a mark that is written behind it: what goes through a terminal need not come at once.
std::string read_to_mark(int end, int terminal) {
  if (::write(end, "!", 1) != 1) return "no mark";
  std::string out;
  while (!out.ends_with('!')) {
    const std::string more = read_available(terminal);
    if (more.empty()) return out + " and no mark";
    out += more;
  }
  out.pop_back();
  return out;
}

TEST(Progress, IsDrawnOnATerminalAndCleared) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) GTEST_SKIP() << "this machine has no pseudo-terminals";
  ASSERT_EQ(::grantpt(terminal), 0);
  ASSERT_EQ(::unlockpt(terminal), 0);
  const int end = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  ASSERT_GE(end, 0);
  ASSERT_EQ(drawing_child(end, false), 0);
  const std::string drawn = read_to_mark(end, terminal);
  EXPECT_NE(drawn.find("training 1/10"), drawn.npos) << drawn;
  EXPECT_NE(drawn.find("training 10/10  loss 1.5"), drawn.npos) << drawn;
  EXPECT_TRUE(drawn.ends_with("\r\033[K")) << "the line must not stay";
  EXPECT_EQ(drawn.find('\n'), drawn.npos);
  ASSERT_EQ(drawing_child(end, true), 0);
  EXPECT_EQ(read_to_mark(end, terminal), "") << "a quiet one draws nothing";
  ::close(end);
  ::close(terminal);
}

TEST(Progress, IsNotDrawnIntoAPipe) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  ASSERT_EQ(drawing_child(pipe_ends[1], false), 0);
  ::close(pipe_ends[1]);
  EXPECT_EQ(read_available(pipe_ends[0]), "");
  ::close(pipe_ends[0]);
}

TEST(Interrupts, TheFirstIsAskedForAndTheSecondEnds) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const pid_t child = ::fork();
    if (child == 0) {
      catch_interrupts();
      if (interrupted()) ::_exit(1);
      std::raise(signal);
      if (!interrupted()) ::_exit(2);
      std::raise(signal);
      ::_exit(3);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), signal);
  }
}

TEST(Interrupts, AsManyAsAreWantedAreCounted) {
  const pid_t child = ::fork();
  if (child == 0) {
    catch_interrupts(2);
    std::raise(SIGTERM);
    std::raise(SIGINT);
    if (interrupts() != 2) ::_exit(1);
    std::raise(SIGTERM);
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

}  // namespace
}  // namespace aftune

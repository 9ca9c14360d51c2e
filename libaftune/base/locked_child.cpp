#include "base/locked_child.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <vector>

#include "base/error.h"
#include "base/sanitizers.h"
#include "base/syscall_filter.h"

namespace aftune {
namespace {

// Where the child's two descriptors lie, so that the filter can name them.
constexpr int kSocket = 3;
constexpr int kFile = 4;
// With a sanitizer: UBSan asks a pipe of its own whether memory may be read. It gets the next two.
constexpr int kPipe[] = {5, 6};

// With a sanitizer: seconds that the first child has until it is locked down, twice as many for each that
// follows, and those for the last.
constexpr double kFirstSeconds = 0.25, kLastSeconds = 120;

constexpr int kOutOfMemory = 3;  // exit status
constexpr int kFailed = 4;

// What the child says once it is locked down, or why it is not.
struct Hello {
  std::int32_t error = 0;  // errno of the step that failed
  std::int32_t filtered = 0;
  std::int32_t users_memory = 0;  // its memory is bounded more closely by a limit that this process has
  char step[24] = {};
};

// The steps below throw this; nothing foreign has been read by then.
struct NotLocked {
  const char* step;
  int error;
};

struct Parent {
  pid_t pid = ::getpid();
  bool is_first_thread = ::syscall(SYS_gettid) == pid;
};

// Not _exit(): ThreadSanitizer makes other calls there.
[[noreturn]] void leave(int status) {
  while (true) ::syscall(SYS_exit_group, status);
}

void must(bool done, const char* step) {
  if (!done) throw NotLocked{step, errno};
}

void close_all_from(unsigned first) {
#if defined(SYS_close_range)
  if (::syscall(SYS_close_range, first, ~0U, 0U) == 0) return;
#endif
  rlimit open{};
  must(::getrlimit(RLIMIT_NOFILE, &open) == 0, "getrlimit");
  const rlim_t end = std::min<rlim_t>(open.rlim_max, 1 << 20);
  for (rlim_t fd = first; fd < end; ++fd) ::close(static_cast<int>(fd));
}

void keep_only(int socket, int file) {
  // Up first, so that neither is closed by the other's move.
  const int high_socket = ::fcntl(socket, F_DUPFD, kFile + 1);
  const int high_file = ::fcntl(file, F_DUPFD, kFile + 1);
  must(high_socket >= 0 && high_file >= 0, "dup");
  must(::dup2(high_socket, kSocket) == kSocket && ::dup2(high_file, kFile) == kFile, "dup2");
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO})
    kSanitizers ? ::dup2(kFile, fd) : ::close(fd);  // taken, so that the pipe gets no lower numbers
  if (!kSanitizers) ::close(STDERR_FILENO);
  close_all_from(kFile + 1);
}

// Signals to the whole foreground group, such as those of a terminal, are for the parent to answer.
void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  must(::sigprocmask(SIG_SETMASK, &none, nullptr) == 0, "sigprocmask");
}

std::uint64_t address_space() {
  char text[32] = {};
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  must(fd >= 0, "/proc/self/statm");
  const ssize_t got = ::read(fd, text, sizeof(text) - 1);
  ::close(fd);
  std::uint64_t pages = 0;
  must(got > 0 && std::from_chars(text, text + got, pages).ec == std::errc(), "/proc/self/statm");
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// False if a lower one was in force already.
bool limit(int resource, rlim_t most, bool hard = true) {
  const auto which = static_cast<__rlimit_resource>(resource);
  rlimit old{};
  must(::getrlimit(which, &old) == 0, "getrlimit");
  rlimit now{std::min(most, old.rlim_cur), old.rlim_max};
  if (hard) now.rlim_max = std::min(most, old.rlim_max);
  must(::setrlimit(which, &now) == 0, "setrlimit");
  return now.rlim_cur == most;
}

// The processor time is extended by the parent, answer by answer, so only its soft limit is set here. Returns
// whether the memory is bounded as asked, and not more closely.
bool set_limits(const LockedChild::Limits& limits) {
  limit(RLIMIT_CPU, static_cast<rlim_t>(limits.seconds), false);
  for (const int resource : {RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_CORE}) limit(resource, 0);
  const bool as_asked = kSanitizers || limit(RLIMIT_AS, address_space() + limits.memory);
  limit(RLIMIT_NOFILE, kSanitizers ? kPipe[1] + 1 : 0);
  return as_asked;
}

// False where there are no filters.
bool filter_calls() {
  const auto support = SyscallFilter::support();
  must(support != SyscallFilter::Support::kUnknown, "seccomp");
  if (support == SyscallFilter::Support::kNo) return false;
  SyscallFilter filter;
  filter.allow_with(__NR_recvfrom, 0, {kSocket});
  filter.allow_with(__NR_sendto, 0, {kSocket});
  filter.allow_with(__NR_pread64, 0, {kFile});
  filter.allow_without(__NR_mmap, 2, PROT_EXEC);
  filter.allow_without(__NR_mprotect, 2, PROT_EXEC);
  for (const int call : {__NR_munmap, __NR_mremap, __NR_madvise, __NR_brk, __NR_futex, __NR_clock_gettime,
                         __NR_rt_sigreturn, __NR_exit_group})
    filter.allow(call);
  if (kSanitizers) {
    filter.allow_with(__NR_write, 0, {STDERR_FILENO, kPipe[0], kPipe[1]});
    filter.allow_with(__NR_close, 0, {kPipe[0], kPipe[1]});
    for (const int call :
         {__NR_pipe2, __NR_sched_yield, __NR_getpid, __NR_gettid, __NR_sigaltstack, __NR_rt_sigprocmask})
      filter.allow(call);
  }
  must(filter.enforce(), "seccomp");
  return true;
}

void lock_down(int socket, int file, const Parent& parent, const LockedChild::Limits& limits, Hello& hello) {
  static char* none[] = {nullptr};
  environ = none;  // HDF5_* and all else; not by clearenv(), whose lock another thread may have held
  // It comes when the thread that forked ends, which tells of the process only if that is the first one.
  // Without it the end of the socket ends the child.
  if (parent.is_first_thread) {
    must(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
    must(::getppid() == parent.pid, "the parent is gone");
  }
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
  reset_signals();
  keep_only(socket, file);
  ::mallopt(M_ARENA_MAX, 1);  // for a second one malloc would count processors, in a file
  hello.users_memory = set_limits(limits) ? 0 : 1;
  // Only now: /proc may hide from a process what it has of one that cannot be dumped.
  must(::prctl(PR_SET_DUMPABLE, 0) == 0, "PR_SET_DUMPABLE");
  hello.filtered = filter_calls() ? 1 : 0;
}

// AddressSanitizer's allocator (GCC 12, clang 14) does not hold its locks while the process forks, as glibc's
// does: one that another thread held then is never free in the child, which waits for it for ever. So a child
// takes them all once: blocks of every size class, more than a thread keeps at hand, and a large one. One
// that does not get through is ended, and another forked.
void take_sanitizer_locks() {
  constexpr std::size_t kKept = 256, kKeptBytes = std::size_t{1} << 16, kLargest = std::size_t{1} << 17;
  std::vector<std::unique_ptr<std::byte[]>> blocks;
  for (std::size_t size = 16; size <= kLargest; size += std::max<std::size_t>(16, std::bit_floor(size) / 8)) {
    const std::size_t count = std::min(kKept, 2 * kKeptBytes / size) + 2;
    for (std::size_t i = 0; i < count; ++i)
      blocks.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
    blocks.clear();
  }
  blocks.push_back(std::make_unique_for_overwrite<std::byte[]>(16 * kLargest));
}

[[noreturn]] void run(int file, int socket, const Parent& parent, const LockedChild::Limits& limits,
                      LockedChild::Line line, const std::function<void(LockedChild::Line&)>& body) {
  Hello hello;
  try {
    lock_down(socket, file, parent, limits, hello);
    if (kSanitizers) take_sanitizer_locks();
  } catch (const NotLocked& why) {
    hello.error = why.error == 0 ? EINVAL : why.error;
    std::strncpy(hello.step, why.step, sizeof(hello.step) - 1);
    // The socket lies where it was, or has been moved already.
    if (::send(socket, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
      ::send(kSocket, &hello, sizeof(hello), MSG_NOSIGNAL);
    leave(kFailed);
  }
  line.send(std::as_bytes(std::span(&hello, 1)));
  try {
    body(line);
  } catch (const std::bad_alloc&) {
    leave(kOutOfMemory);
  } catch (...) {
    leave(kFailed);
  }
  leave(0);
}

std::string name_of_signal(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? cat("SIG", name) : cat("signal ", signal);
}

bool ran_out_of_memory(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == kOutOfMemory;
}

bool ran_out_of_time(int status) {
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return cat("was killed (", name_of_signal(WTERMSIG(status)), ")");
  if (ran_out_of_memory(status)) return "took more memory than it may";
  return "ended before it had answered";
}

}  // namespace

int LockedChild::Line::file() const {
  return kFile;
}

bool LockedChild::Line::receive(std::span<std::byte> request) {
  while (!request.empty()) {
    const ssize_t got = ::recv(kSocket, request.data(), request.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    request = request.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

void LockedChild::Line::send(ByteView answer) {
  while (!answer.empty()) {
    const ssize_t put = ::send(kSocket, answer.data(), answer.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) leave(kFailed);
    answer = answer.subspan(static_cast<std::size_t>(put));
  }
}

LockedChild::LockedChild(int file, std::size_t window, const Limits& limits,
                         const std::function<void(Line&)>& body)
    : limits_(limits) {
  void* shared = ::mmap(nullptr, window, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail(Fault::kSystem, "memory shared with a process: ", std::strerror(errno));
  window_ = {static_cast<std::byte*>(shared), window};
  try {
    fork(file, body);
    for (double patience = kSanitizers ? kFirstSeconds : limits_.patience; !await_lock(patience);
         patience *= 2) {
      if (!kSanitizers || patience > kLastSeconds)
        fail(Fault::kSystem, "a process to read foreign bytes does not start");
      close_line();
      fork(file, body);
    }
  } catch (...) {
    close();
    throw;
  }
}

LockedChild::~LockedChild() {
  close();
}

void LockedChild::fork(int file, const std::function<void(Line&)>& body) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
    fail(Fault::kSystem, "socketpair: ", std::strerror(errno));
  socket_ = sockets[0];
  const Parent parent;
  pid_ = ::fork();
  if (pid_ == 0) run(file, sockets[1], parent, limits_, Line(window_), body);
  const int error = errno;
  ::close(sockets[1]);
  if (pid_ < 0) fail(Fault::kSystem, "a process to read foreign bytes: ", std::strerror(error));
}

// False if it does not say so in time. Nothing foreign has been read, so whatever goes wrong here is the
// machine's.
bool LockedChild::await_lock(double patience) {
  Hello hello;
  try {
    if (const int error = ::clock_getcpuclockid(pid_, &clock_); error != 0)
      fail(Fault::kSystem, "its clock: ", std::strerror(error));
    if (!await(std::as_writable_bytes(std::span(&hello, 1)), patience)) return false;
  } catch (const Error& e) {
    fail(Fault::kSystem, e.what());
  }
  hello.step[sizeof(hello.step) - 1] = '\0';
  if (hello.error != 0)
    fail(Fault::kSystem, "a process to read foreign bytes: ", hello.step, ": ", std::strerror(hello.error));
  filtered_ = hello.filtered != 0;
  users_memory_ = hello.users_memory != 0;
  return true;
}

// Its soft limit of processor time becomes what it has used and what one answer may take, but never more
// than this process's own.
void LockedChild::allow_time() {
  timespec used{};
  rlimit own{}, its{};
  if (::clock_gettime(clock_, &used) != 0 || ::getrlimit(RLIMIT_CPU, &own) != 0 ||
      ::prlimit(pid_, RLIMIT_CPU, nullptr, &its) != 0)
    return;
  const auto allowed = static_cast<rlim_t>(used.tv_sec + 1 + limits_.seconds);
  its.rlim_cur = std::min({allowed, own.rlim_cur, its.rlim_max});
  users_time_ = its.rlim_cur < allowed;
  ::prlimit(pid_, RLIMIT_CPU, &its, nullptr);
}

void LockedChild::send(ByteView request) {
  if (!end_.empty()) report_end();
  waited_ = 0;
  allow_time();
  while (!request.empty()) {
    const ssize_t put = ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) lost("send");
    request = request.subspan(static_cast<std::size_t>(put));
  }
}

void LockedChild::receive(std::span<std::byte> answer) {
  if (!end_.empty()) report_end();
  if (!await(answer, limits_.patience)) end(cat("gave no answer in ", limits_.patience, " seconds"));
}

// False if there is no answer in so many seconds. They are counted in slices of at most one, so that a parent
// that was stopped meanwhile, with its child, does not find it late.
bool LockedChild::await(std::span<std::byte> answer, double patience) {
  using Clock = std::chrono::steady_clock;
  while (!answer.empty()) {
    pollfd wait{socket_, POLLIN, 0};
    const auto begin = Clock::now();
    const int ready = ::poll(&wait, 1, static_cast<int>(1000 * std::min(1.0, patience)));
    waited_ += std::min(1.0, std::chrono::duration<double>(Clock::now() - begin).count());
    if (waited_ > patience) return false;
    if (ready <= 0) continue;
    const ssize_t got = ::recv(socket_, answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) lost("recv");
    if (got == 0) report_end();
    answer = answer.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

void LockedChild::end(const std::string& why) {
  reap();
  end_ = why;
  report_end();
}

void LockedChild::lost(const char* call) {
  if (errno != EPIPE && errno != ECONNRESET) fail(Fault::kSystem, call, ": ", std::strerror(errno));
  report_end();
}

void LockedChild::report_end() {
  if (end_.empty()) {
    // Its end of the socket is closed, which it cannot do itself: it has ended, or is about to.
    int status = 0;
    pid_t done = 0;
    do done = ::waitpid(pid_, &status, 0);
    while (done < 0 && errno == EINTR);
    // Where SIGCHLD is ignored the system does not say how it ended.
    end_ = done == pid_ ? describe_end(status) : "ended";
    pid_ = -1;
    // A limit that the user set is no property of the file.
    if (done > 0 && ran_out_of_memory(status) && users_memory_) fail(Fault::kSystem, "no memory");
    if (done > 0 && ran_out_of_time(status) && users_time_) fail(Fault::kSystem, "no processor time");
  }
  fail(Fault::kEvidence, "the process that reads it ", end_);
}

void LockedChild::reap() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void LockedChild::close_line() {
  reap();
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  waited_ = 0;
}

void LockedChild::close() {
  close_line();
  if (!window_.empty()) ::munmap(window_.data(), window_.size());
  window_ = {};
}

}  // namespace aftune

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/bytes.h"

namespace aftune {

/// A forked process that works on one open file of somebody else's, and can do nothing else: no other
/// descriptor, no environment, no new memory beyond a bound, and no system call but those that take memory,
/// read that file and speak to its parent (docs/architecture.md, "Foreign files"). Whoever took it over could
/// only lie to the parent, who therefore believes no length and no value that it cannot check.
///
/// Both share the window, memory for large answers. The child may change it at any time: what it holds is
/// copied out before it is looked at.
///
/// One request and its answer at a time; the caller sees to that.
class LockedChild {
 public:
  struct Limits {
    std::uint64_t memory = 0;  ///< bytes of address space beyond what the process has when it is forked
    int seconds = 60;          ///< processor time for one answer
    int patience = 600;        ///< seconds of waiting for one answer
  };

  /// The child's end.
  class Line {
   public:
    explicit Line(std::span<std::byte> window) : window_(window) {}
    /// Waits for all of a request. False once the parent is gone or has done with it.
    [[nodiscard]] bool receive(std::span<std::byte> request);
    void send(ByteView answer);
    std::span<std::byte> window() const { return window_; }
    int file() const;  ///< its number in the child

   private:
    std::span<std::byte> window_;
  };

  /// Runs `body` in the child, where `file` stays open; it ends when body returns. body must not touch locks
  /// that other threads of this process may hold: malloc is safe, stdio is not. What it throws ends the
  /// child. Throws Error{kSystem} if there can be no such process.
  LockedChild(int file, std::size_t window, const Limits& limits, const std::function<void(Line&)>& body);
  LockedChild(const LockedChild&) = delete;
  LockedChild& operator=(const LockedChild&) = delete;
  ~LockedChild();  ///< ends and reaps it

  /// Starts the time for an answer. Throw Error{kEvidence} that says how the child ended, if it has.
  void send(ByteView request);
  void receive(std::span<std::byte> answer);
  /// For an answer that no honest child gives: kills it and throws Error{kEvidence} "the process that reads
  /// it <why>", as every later call will.
  [[noreturn]] void end(const std::string& why);
  std::span<const std::byte> window() const { return window_; }

  /// False where the kernel has no filter for system calls; all other limits hold there too.
  bool is_filtered() const { return filtered_; }
  pid_t pid() const { return pid_; }

 private:
  void fork(int file, const std::function<void(Line&)>& body);
  bool await_lock(double patience);
  bool await(std::span<std::byte> answer, double patience);
  void allow_time();
  [[noreturn]] void lost(const char* call);
  [[noreturn]] void report_end();
  void reap();
  void close_line();
  void close();

  Limits limits_;
  std::span<std::byte> window_;
  int socket_ = -1;
  pid_t pid_ = -1;
  clockid_t clock_{};
  bool filtered_ = false;
  bool users_memory_ = false;  // a limit of this process's own is lower than what it was to have
  bool users_time_ = false;
  double waited_ = 0;  // seconds, for this answer
  std::string end_;    // how it ended, once it has
};

}  // namespace aftune

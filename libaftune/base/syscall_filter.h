#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace aftune {

/// A list of the system calls that the calling thread may still make; any other kills the process (SIGSYS).
/// For x86_64 and aarch64, whose numbers and argument order it holds calls to.
class SyscallFilter {
 public:
  SyscallFilter();

  void allow(int call);
  /// Only with one of these values in the low 32 bits of argument `index`, where a descriptor lies.
  void allow_with(int call, unsigned index, std::initializer_list<std::uint32_t> values);
  /// Only with none of these bits in the low 32 of argument `index`.
  void allow_without(int call, unsigned index, std::uint32_t bits);

  enum class Support { kYes, kNo, kUnknown };
  /// kNo where the kernel (older than 4.14, or qemu-user in its place) has no such filters; kUnknown, with
  /// errno, if it does not say.
  static Support support();
  /// Puts it in force, for good. Needs PR_SET_NO_NEW_PRIVS. False, with errno, if it cannot.
  [[nodiscard]] bool enforce() const;

 private:
  void check_argument(int call, unsigned index, const std::vector<sock_filter>& allowed);

  std::vector<sock_filter> program_;
};

}  // namespace aftune

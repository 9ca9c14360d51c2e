#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

namespace aftune {

/// A list of the system calls that the calling thread may still make; any other kills the process (SIGSYS).
/// For x86_64 and aarch64, whose numbers and argument order it holds calls to.
class SyscallFilter {
 public:
  SyscallFilter();

  void allow(int call);
  /// Only with this value in the low 32 bits of argument `index`, where a descriptor lies.
  void allow_with(int call, unsigned index, std::uint32_t value);
  /// Only with none of these bits in the low 32 of argument `index`.
  void allow_without(int call, unsigned index, std::uint32_t bits);

  /// Puts it in force, for good. Needs PR_SET_NO_NEW_PRIVS. Returns 0, or the errno: EINVAL or ENOSYS where
  /// the kernel (or an emulator of one) has no filters.
  [[nodiscard]] int enforce();

 private:
  void check_argument(int call, unsigned index, sock_filter allowed);

  std::vector<sock_filter> program_;
};

}  // namespace aftune

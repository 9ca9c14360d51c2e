#include "base/syscall_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "base/error.h"

namespace aftune {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr bool kHasOtherAbi = true;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr bool kHasOtherAbi = false;
#else
#error "no system call numbers for this processor"
#endif
// x32: the calls of x86_64 again, under numbers with this bit.
constexpr std::uint32_t kOtherAbi = 0x40000000;

sock_filter load(std::size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
}

sock_filter jump(unsigned kind, std::uint32_t operand, std::uint8_t if_true, std::uint8_t if_false) {
  return {static_cast<std::uint16_t>(BPF_JMP | kind | BPF_K), if_true, if_false, operand};
}

sock_filter answer(std::uint32_t action) {
  return {BPF_RET | BPF_K, 0, 0, action};
}

}  // namespace

SyscallFilter::SyscallFilter() {
  program_ = {load(offsetof(seccomp_data, arch)), jump(BPF_JEQ, kArchitecture, 1, 0),
              answer(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  if (!kHasOtherAbi) return;
  program_.push_back(jump(BPF_JGE, kOtherAbi, 0, 1));
  program_.push_back(answer(SECCOMP_RET_KILL_PROCESS));
}

void SyscallFilter::allow(int call) {
  program_.push_back(jump(BPF_JEQ, static_cast<std::uint32_t>(call), 0, 1));
  program_.push_back(answer(SECCOMP_RET_ALLOW));
}

// Each of `allowed` jumps over one instruction where the argument will not do. No way leads out of the block
// with anything but the call's number loaded.
void SyscallFilter::check_argument(int call, unsigned index, const std::vector<sock_filter>& allowed) {
  AFTUNE_CHECK(index < 6);
  const auto rest = static_cast<std::uint8_t>(2 + 2 * allowed.size());
  program_.push_back(jump(BPF_JEQ, static_cast<std::uint32_t>(call), 0, rest));
  program_.push_back(load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t)));
  for (const sock_filter& one : allowed) {
    program_.push_back(one);
    program_.push_back(answer(SECCOMP_RET_ALLOW));
  }
  program_.push_back(answer(SECCOMP_RET_KILL_PROCESS));
}

void SyscallFilter::allow_with(int call, unsigned index, std::initializer_list<std::uint32_t> values) {
  std::vector<sock_filter> allowed;
  for (const std::uint32_t value : values) allowed.push_back(jump(BPF_JEQ, value, 0, 1));
  check_argument(call, index, allowed);
}

void SyscallFilter::allow_without(int call, unsigned index, std::uint32_t bits) {
  check_argument(call, index, {jump(BPF_JSET, bits, 1, 0)});
}

SyscallFilter::Support SyscallFilter::support() {
  const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return Support::kYes;
  return errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP ? Support::kNo : Support::kUnknown;
}

bool SyscallFilter::enforce() const {
  std::vector<sock_filter> whole = program_;
  whole.push_back(answer(SECCOMP_RET_KILL_PROCESS));
  const sock_fprog program{static_cast<unsigned short>(whole.size()), whole.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace aftune

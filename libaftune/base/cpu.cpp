#include "base/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "base/error.h"

namespace aftune {
namespace {

constexpr Isa kIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni};

bool has(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("fma");
    case Isa::kAvx512Vnni:
      return has(Isa::kAvx512) && __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return isa == Isa::kScalar;
#endif
}

Isa choose() {
  const char* forced = std::getenv("AFTUNE_ISA");
  if (forced == nullptr || *forced == '\0') return *std::find_if(std::rbegin(kIsas), std::rend(kIsas), has);
  for (const Isa isa : kIsas) {
    if (name(isa) != forced) continue;
    if (!has(isa)) fail(Fault::kUsage, "AFTUNE_ISA=", forced, ": this CPU does not have it");
    return isa;
  }
  fail(Fault::kUsage, "AFTUNE_ISA=", forced, ": not one of scalar, avx2, avx512, avx512vnni");
}

}  // namespace

Isa active_isa() {
  static const Isa isa = choose();
  return isa;
}

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Vnni:
      return "avx512vnni";
  }
  return "unknown";
}

std::string_view cpu_name() {
  static const std::string found = [] {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
      if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
    return std::string("unknown CPU");
  }();
  return found;
}

}  // namespace aftune

#pragma once

#include <string_view>

namespace aftune {

/// Instruction sets that kernels and hashing are built for, each with all that the one before has. All give
/// the same bits.
enum class Isa { kScalar, kAvx2, kAvx512, kAvx512Vnni };

/// The best set this CPU has, or the one that AFTUNE_ISA=scalar|avx2|avx512|avx512vnni names. Throws
/// Error{kUsage} if the name is unknown or the CPU lacks it. Decided once per process.
Isa active_isa();
std::string_view name(Isa isa);
/// The CPU's own name, for benchmark reports.
std::string_view cpu_name();

}  // namespace aftune

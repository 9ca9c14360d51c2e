#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace aftune {

/// Bytes that nobody can foretell, from the system. Throws Error{kSystem} if it has none.
void random_bytes(std::span<std::byte> out);
/// So many of them as lower-case hex digits.
std::string random_hex(std::size_t bytes);

}  // namespace aftune

#pragma once

#include <string_view>

namespace aftune {

/// This build's version (CMakeLists.txt), and the name that manifests carry.
inline constexpr std::string_view kVersion = AFTUNE_VERSION;
inline constexpr std::string_view kSoftware = "aftune " AFTUNE_VERSION;

}  // namespace aftune

#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace aftune::model {

/// What a product of a layer is for, in the order of record::kLoraTargets. kQkv: q, k and v in one.
enum class Projection { kQ, kK, kV, kO, kGate, kUp, kDown, kQkv };
inline constexpr std::size_t kProjections = 8;
constexpr std::size_t place(Projection which) {
  return static_cast<std::size_t>(which);
}

/// Their modules inside a layer, without ".weight"; "" where an architecture has none.
using ProjectionNames = std::array<std::string_view, kProjections>;

}  // namespace aftune::model

#pragma once

#include <cstddef>
#include <string_view>

namespace aftune::model {

/// A layer's products, in the order of record::kLoraTargets.
enum class Projection { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr std::size_t kProjections = 7;
constexpr std::size_t place(Projection which) {
  return static_cast<std::size_t>(which);
}

/// Their names inside a layer, without ".weight".
inline constexpr std::string_view kProjectionNames[kProjections] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};

}  // namespace aftune::model

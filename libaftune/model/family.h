#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace aftune::model {

struct Architecture;

/// A model_type of config.json that we compute: an architecture and what the family adds to it. The numbers
/// are what the family's class in transformers takes where config.json does not say.
struct Family {
  std::string_view model_type;
  const Architecture* architecture = nullptr;
  bool qkv_bias = false;    ///< q, k and v have biases
  bool head_norms = false;  ///< q and k are normalised over head_dim, before RoPE

  std::int64_t vocab = 0, intermediate = 0, max_position = 0;
  std::int64_t kv_heads = 0;  ///< 0: as many as heads
  std::int64_t head_dim = 0;  ///< 0: hidden / heads
  /// What limits attention to the last positions, which we do not compute.
  enum class Window {
    kNone,    ///< the family has no such thing; the member is refused
    kMember,  ///< "sliding_window", which must be there and null
    kSwitch,  ///< only with "use_sliding_window", which must not be true
  } window = Window::kNone;
};

/// All of them, by model_type.
std::span<const Family> families();
/// nullptr if there is none of that name.
const Family* find_family(std::string_view model_type);

}  // namespace aftune::model

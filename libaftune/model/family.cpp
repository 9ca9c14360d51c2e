#include "model/family.h"

#include <algorithm>
#include <iterator>

#include "model/config.h"
#include "model/gpt2.h"

namespace aftune::model {
namespace {

constexpr Family kFamilies[] = {
    // Touvron et al. 2023, arXiv:2302.13971 and 2307.09288; Llama 3, arXiv:2407.21783.
    {.model_type = "llama",
     .architecture = &kLlama,
     .vocab = 32000,
     .intermediate = 11008,
     .max_position = 2048},
    // Jiang et al. 2023, arXiv:2310.06825; later versions have no sliding window, as Llama.
    {.model_type = "mistral",
     .architecture = &kLlama,
     .vocab = 32000,
     .intermediate = 14336,
     .max_position = 131072,
     .kv_heads = 8,
     .window = Family::Window::kMember},
    // Yang et al. 2024, arXiv:2407.10671, section 2.2.1: biases in QKV.
    {.model_type = "qwen2",
     .architecture = &kLlama,
     .qkv_bias = true,
     .vocab = 151936,
     .intermediate = 22016,
     .max_position = 32768,
     .kv_heads = 32,
     .window = Family::Window::kSwitch},
    // Yang et al. 2025, arXiv:2505.09388, section 2: no biases in QKV, norms of queries and keys instead.
    {.model_type = "qwen3",
     .architecture = &kLlama,
     .head_norms = true,
     .vocab = 151936,
     .intermediate = 22016,
     .max_position = 32768,
     .kv_heads = 32,
     .head_dim = 128,
     .window = Family::Window::kSwitch},
    // Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
    {.model_type = "gpt2", .architecture = &kGpt2, .vocab = 50257, .max_position = 1024},
    // Dosovitskiy et al. 2021, arXiv:2010.11929.
    {.model_type = "vit", .architecture = &kViT},
    // Oquab et al. 2023, arXiv:2304.07193.
    {.model_type = "dinov2", .architecture = &kDinov2},
};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

const Family* find_family(std::string_view model_type) {
  const auto* const found =
      std::find_if(std::begin(kFamilies), std::end(kFamilies),
                   [&](const Family& family) { return family.model_type == model_type; });
  return found == std::end(kFamilies) ? nullptr : found;
}

}  // namespace aftune::model

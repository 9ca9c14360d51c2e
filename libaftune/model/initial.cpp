#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/ops.h"
#include "model/folder.h"
#include "model/layer_block.h"

namespace aftune::model {
namespace {

void zero(std::vector<Buffer>& moments) {
  for (Buffer& m : moments) std::memset(m.data(), 0, m.bytes().size());
}

const Checkpoint::Entry& find_parameter(const Checkpoint& checkpoint, const TensorSpec& spec) {
  const Checkpoint::Entry* found = checkpoint.find(spec.name);
  if (found == nullptr) fail(Fault::kEvidence, "the model has no tensor \"", spec.name, '"');
  if (found->spec.shape != spec.shape)
    fail(Fault::kEvidence, describe(found->spec),
         " does not have the shape that config.json gives: ", describe(spec));
  if (!is_float(found->spec.dtype)) fail(Fault::kEvidence, describe(found->spec), " is not a float tensor");
  return *found;
}

}  // namespace

Buffer read_parameter(const Checkpoint& checkpoint, const TensorSpec& spec) {
  const Checkpoint::Entry& found = find_parameter(checkpoint, spec);
  return widen(found.spec.dtype, found.bytes);
}

Narrow read_narrow(const Checkpoint& checkpoint, const TensorSpec& spec) {
  const Checkpoint::Entry& found = find_parameter(checkpoint, spec);
  if (found.spec.dtype == DType::kF32) return {};
  return {found.spec.dtype, Bytes(found.bytes.begin(), found.bytes.end())};
}

void load_base(LayerBlock& block, const Checkpoint& checkpoint) {
  for (Parameter& p : block.parameters()) {
    p.value = read_parameter(checkpoint, p.spec);
    zero(p.moments);
  }
}

void init_parameters(LayerBlock& block, const EngineOptions& options) {
  const record::Recipe& recipe = options.recipe;
  const auto std = static_cast<float>(recipe.is_lora() ? 1.0 / static_cast<double>(recipe.lora_rank)
                                                       : options.config.initializer_range);
  for (Parameter& p : block.parameters()) {
    if (p.spec.name.ends_with(".lora_B.weight")) {
      std::fill_n(p.value.data(), p.value.size(), 0.0f);  // an adapter begins as nothing
    } else if (p.spec.name.ends_with(".lambda1")) {
      std::fill_n(p.value.data(), p.value.size(), options.config.layer_scale);
    } else if (p.spec.name.ends_with(".mask_token")) {
      std::fill_n(p.value.data(), p.value.size(), 0.0f);
    } else if (p.spec.shape.size() == 1) {
      const bool bias = p.spec.name.ends_with(".bias");
      std::fill_n(p.value.data(), p.value.size(), bias ? 0.0f : 1.0f);  // else a norm's weight
    } else {
      const Digest digest = hash::blake3(p.spec.name);
      std::uint64_t name_hash = 0;
      std::memcpy(&name_hash, digest.bytes.data(), sizeof name_hash);
      kernels::init_normal(*options.pool, options.recipe.seed, name_hash, std, p.value.size(),
                           p.value.data());
    }
    zero(p.moments);
  }
}

}  // namespace aftune::model

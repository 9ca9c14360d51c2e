#include "audit/gradient_digest.h"

namespace aftune::audit {

void GradientDigest::add(model::LayerBlock& block, ThreadPool* pool) {
  for (const model::Parameter& p : block.parameters()) {
    const Digest digest = hash::blake3(p.gradient.bytes(), pool);
    hash_.update(std::as_bytes(std::span(digest.bytes)));
  }
}

Digest GradientDigest::value(const Digest& key, const Cell& cell) const {
  Bytes material;
  append_le(material, static_cast<std::uint64_t>(cell.block));
  append_le(material, static_cast<std::uint64_t>(cell.step_block));
  const Digest digest = hash_.finish();
  const ByteView bytes = std::as_bytes(std::span(digest.bytes));
  material.insert(material.end(), bytes.begin(), bytes.end());
  return hash::blake3_keyed(key, material);
}

}  // namespace aftune::audit

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "record/leaves.h"

namespace aftune::record {
namespace {

Json entry(const TensorSpec& spec, const Digest& digest) {
  return Json::array({spec.name, name(spec.dtype), spec.shape, to_hex(digest)});
}

}  // namespace

Digest tensor_root(const std::vector<TensorSpec>& specs, const std::vector<Digest>& digests) {
  AFTUNE_CHECK(specs.size() == digests.size());
  std::vector<std::size_t> order(specs.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return specs[a].name < specs[b].name; });
  hash::RootBuilder root;
  for (const std::size_t i : order) root.append(hash::leaf_hash(canonical_json(entry(specs[i], digests[i]))));
  return root.root();
}

Digest list_digest(const std::vector<TensorSpec>& specs, const std::vector<Digest>& digests) {
  AFTUNE_CHECK(specs.size() == digests.size());
  Json list = Json::array();
  for (std::size_t i = 0; i < specs.size(); ++i) list.push_back(entry(specs[i], digests[i]));
  return hash::blake3(canonical_json(list));
}

Digest block_digest(const Digest& parameters, const Digest& moments) {
  return hash::blake3(canonical_json(Json{{"moments", to_hex(moments)}, {"parameters", to_hex(parameters)}}));
}

Digest block_digest(const BlockState& block) {
  return block_digest(list_digest(block.parameter_specs, block.parameters),
                      list_digest(block.moment_specs, block.moments));
}

}  // namespace aftune::record

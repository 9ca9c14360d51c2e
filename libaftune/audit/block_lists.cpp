#include "audit/block_lists.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "hash/blake3.h"
#include "model/layer_block.h"

namespace aftune::audit {

const Digest& ZeroDigests::of(const Shape& shape) {
  const std::int64_t count = element_count(shape);
  const auto found = known_.find(count);
  if (found != known_.end()) return found->second;
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  const std::vector<std::byte> zeros(kPiece);
  hash::Blake3 hasher;
  for (auto left = static_cast<std::uint64_t>(count) * 4; left > 0;) {
    const auto now = std::min(left, kPiece);
    hasher.update(ByteView(zeros).first(now));
    left -= now;
  }
  return known_.emplace(count, hasher.finish()).first->second;
}

BlockLists::BlockLists(const LogView& log, int block)
    : parameter_specs_(model::block_parameter_specs(log.config(), log.grid(), log.manifest().recipe, block)),
      moment_specs_(model::block_moment_specs(log.config(), log.grid(), log.manifest().recipe, block)) {
  std::unordered_map<std::string, std::size_t> by_name;
  for (std::size_t i = 0; i < log.tensors().size(); ++i) by_name[log.tensors()[i].name] = i;
  for (const TensorSpec& spec : parameter_specs_) {
    const auto found = by_name.find(spec.name);
    AFTUNE_CHECK(found != by_name.end());
    positions_.push_back(found->second);
  }
}

Digest BlockLists::parameters(const std::vector<Digest>& of_model) const {
  std::vector<Digest> own;
  for (const std::size_t position : positions_) own.push_back(of_model[position]);
  return record::list_digest(parameter_specs_, own);
}

Digest BlockLists::moments(ZeroDigests& zeros) const {
  std::vector<Digest> own;
  for (const TensorSpec& spec : moment_specs_) own.push_back(zeros.of(spec.shape));
  return record::list_digest(moment_specs_, own);
}

}  // namespace aftune::audit

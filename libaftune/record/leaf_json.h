#pragma once

// What all kinds of leaf share. Private to this module.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "record/leaves.h"

namespace aftune::record {

inline constexpr std::int64_t kMaxTokenId = 0x7fffffff;

/// The version that every leaf carries: a reader refuses any other.
inline constexpr std::int64_t kLeafVersion = 1;

/// Adds kind and version, and writes the canonical text. Throws Error{kUsage} if it is too long.
std::string seal_leaf(std::string_view kind, Json members);

/// Parses the canonical text of one leaf of this kind and lets `read` take its members; all must be taken.
/// Throws Error{kEvidence} with the kind's name.
template <class Read>
auto open_leaf(std::string_view kind, std::string_view leaf, Read&& read) {
  if (leaf.size() > kMaxLeafBytes) fail(Fault::kEvidence, kind, " leaf: longer than ", kMaxLeafBytes);
  const Json json = within(kind, [&] { return parse_canonical(leaf); });
  Fields fields(json, std::string(kind));
  if (const std::string found = fields.text("kind", 64); found != kind)
    fail(Fault::kEvidence, "expected a ", kind, " leaf, found \"", found, '"');
  fields.integer("version", kLeafVersion, kLeafVersion);
  auto value = read(fields);
  fields.done();
  return value;
}

/// The member "numerics" of a manifest: profile, and the ops in use; of profile native also the machine.
Json numerics_json(const std::vector<std::string>& ops, const std::string& profile,
                   const std::optional<NativeMachine>& native = std::nullopt);
/// Without `native` its members are unknown ones.
void read_numerics(Fields& fields, std::vector<std::string>& ops, std::string& profile,
                   std::optional<NativeMachine>* native = nullptr);

Json hex_list(const std::vector<Digest>& digests);
Json to_json(const TensorList& list);
/// `count` entries, or any number if it is npos.
TensorList tensor_list(Fields& fields, std::string_view key, std::size_t count = std::string::npos);

}  // namespace aftune::record

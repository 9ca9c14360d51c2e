#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "record/leaves.h"

namespace aftune::record {

/// What a published digest speaks of (docs/trace.md, "Hiding"). The texts are part of every salt.
enum class Role {
  kData,        ///< dataset root of the manifest
  kEval,        ///< evaluation root of the manifest
  kLayout,      ///< of a step
  kTokens,      ///< of a step
  kLabels,      ///< of a step
  kActivation,  ///< of a step, at a boundary
  kGradient,    ///< of a step, at a boundary
  kParameter,   ///< tensor of a block in a state
  kMoments,     ///< list of a block's moments in a state
  kExported,    ///< exported tensor of another type than the state's
  kFile,        ///< exported file of weights
  kRequest,     ///< the bytes of a request, in its answer's leaf
  kPrompt,      ///< ids of the prompt
  kAnswer,      ///< ids, text and end of the answer
};
std::string_view name(Role role);

/// Which digest a salt belongs to: no two digests of a run share one.
struct SaltName {
  std::int64_t leaf = 0;
  Role role = Role::kData;
  std::int64_t index = 0;  ///< layer block or boundary; else 0
  std::string name = {};   ///< tensor or file; else empty
};
/// "<leaf>/<role>/<index>/<name>": the key in an evidence index.
std::string to_text(const SaltName& name);
/// Whether `text` is what to_text writes for some salt.
[[nodiscard]] bool is_salt_name(std::string_view text);

/// 32 bytes that only the provider has: whoever knows them can compute every salt of the run.
using RunSecret = Digest;
/// What the manifest states, so that another secret is told from a damaged record.
Digest secret_check(const RunSecret& secret);

/// The salts at hand: all of them for the provider, those that were opened for an auditor.
class Salts {
 public:
  virtual ~Salts() = default;
  virtual bool has(const SaltName& name) const = 0;
  /// May throw if it is not at hand.
  virtual Digest salt(const SaltName& name) const = 0;
};

/// salt = keyed BLAKE3(secret, leaf as u64 le, role, 00, index as u64 le, name).
class SecretSalts : public Salts {
 public:
  explicit SecretSalts(const RunSecret& secret) : secret_(secret) {}
  bool has(const SaltName&) const override { return true; }
  Digest salt(const SaltName& name) const override;

 private:
  RunSecret secret_;
};

/// BLAKE3("aftune/hide/1", salt, digest): binding whatever the salt, hiding while it is unknown.
Digest hidden(const Digest& salt, const Digest& digest);
/// What a leaf says: the digest itself in a run without hiding (`salts` null), else the salted one.
Digest published(const Salts* salts, const SaltName& name, const Digest& digest);

/// A block's state as its leaf, and in the end `final`, publish it.
struct PublishedBlock {
  std::vector<Digest> parameters;  ///< one a tensor
  Digest moments;                  ///< of the list
  Digest digest;                   ///< over both, as block_digest
};
/// `leaf` is that of the state. Salts are not used for state 0, which anyone can compute from the base.
PublishedBlock publish_block(const BlockState& state, const Salts* salts, std::int64_t leaf, int block);

/// Whether `file` of an export holds weights, so that its digest is published salted.
bool holds_weights(std::string_view file);

}  // namespace aftune::record

#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit/bounds.h"
#include "audit/challenge.h"
#include "audit/policy.h"
#include "audit/verdict.h"
#include "base/accelerator.h"
#include "base/files.h"
#include "seal/keys.h"
#include "seal/receipt.h"

namespace aftune::audit {

/// A receipt that a client holds.
struct HeldReceipt {
  std::string where;  ///< the client's name of it
  seal::SignedReceipt signed_receipt;
};

struct VerifyOptions {
  fs::path trace;  ///< a trace at hand; or, empty:
  /// an answer to `challenge`, which must be given too.
  std::optional<fs::path> evidence = std::nullopt;
  /// With evidence: the whole log, so that nothing of it stays unopened.
  std::optional<fs::path> log = std::nullopt;
  seal::PublicKey key;
  /// The note as the auditor received it; default: the trace's own.
  std::optional<fs::path> checkpoint = std::nullopt;
  Plan plan = {};
  std::array<std::uint8_t, 32> seed{};
  std::string seed_kind = "given";
  /// Instead of plan and seed; its note must be one that the log continues.
  std::optional<Challenge> challenge = std::nullopt;
  std::optional<Policy> policy = std::nullopt;
  std::optional<fs::path> data = std::nullopt;  ///< the client's rows, for `data` and `order`
  /// The client's base model: tokenizer, base weights. Cells of adapters are replayed beside these.
  std::optional<fs::path> model = std::nullopt;
  /// Of a run with adapters: those that it was to go on from.
  std::optional<fs::path> adapter = std::nullopt;
  std::optional<fs::path> exported = std::nullopt;  ///< the shipped folder
  std::optional<fs::path> since = std::nullopt;     ///< an earlier note of the run, which its log must extend
  std::optional<fs::path> consistency = std::nullopt;  ///< the provider's proof of that (add-checkpoint body)
  std::optional<fs::path> known = std::nullopt;        ///< the auditor's memory of notes, see KnownNotes
  /// Of a serving period: what the client was promised. Without a challenge, cells are drawn from these
  /// answers.
  std::vector<HeldReceipt> receipts = {};
  /// Of a serving period: digests of the requests that the client sent, of which each receipt must be.
  std::optional<std::set<Digest>> requests = std::nullopt;
  /// Of a serving period: vkeys of those whose word the auditor takes for when a checkpoint was there.
  std::vector<std::string> time_witnesses = {};
  /// Of a serving period: shows that the weights are those of a training run, see Lineage.
  std::optional<std::string> lineage = std::nullopt;
  /// Of a native run: what its products may differ by on another machine.
  std::optional<Bounds> bounds = std::nullopt;
  std::vector<std::string> witnesses = {};  ///< vkeys, of which `witness_threshold` must have cosigned
  int witness_threshold = 0;
  double tampered = 0;  ///< attacker: fraction of cells that are bad; 0: one bad cell
  int threads = 1;
  Accelerator* accelerator = nullptr;  ///< computes in place of the threads
  int jobs = 1;                        ///< cells replayed side by side
  /// Only these of the drawn cells, by their place among them, from 0; empty: all.
  std::vector<std::int64_t> only = {};
  /// Only every share_of-th of them, from place `share` on: perhaps none.
  std::int64_t share = 0;
  std::int64_t share_of = 1;
  /// Verdicts over some of the cells each: these are then not replayed but taken from there.
  std::vector<Verdict> parts = {};
  /// Makes the replay values this auditor's own (docs/audit.md, "Replay values").
  std::optional<Digest> replay_secret = std::nullopt;
  std::uint64_t max_memory = 0;  ///< bytes; 0: what the machine has
  bool quiet = false;
};

/// What only the holder of the key can know: see VerifyOptions::replay_secret.
Digest replay_secret(const seal::SecretKey& key);

/// Verifies a trace at hand, or evidence. Damage in what the provider wrote is a reason in the verdict, never
/// an exception; exceptions are for what the auditor's own side could not do.
Verdict verify(const VerifyOptions& options);

}  // namespace aftune::audit

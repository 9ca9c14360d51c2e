#include "audit/op_proof.h"

#include <algorithm>
#include <map>

#include "audit/findings.h"
#include "audit/limits.h"
#include "audit/log_view.h"
#include "audit/op_replay.h"
#include "audit/rejection.h"
#include "audit/single_op.h"
#include "base/error.h"
#include "base/version.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "kernels/ops.h"
#include "seal/note.h"
#include "trace/segment.h"

namespace aftune::audit {
namespace {

constexpr std::int64_t kMaxIndexBytes = std::int64_t{16} << 20;
constexpr std::size_t kMaxPath = 64;

template <class... Parts>
void require(bool holds, const Parts&... why) {
  if (!holds) fail(Fault::kEvidence, why...);
}

Json hex_json(const std::vector<Digest>& digests) {
  Json out = Json::array();
  for (const Digest& digest : digests) out.push_back(to_hex(digest));
  return out;
}

// The operation that a proof file speaks of, once all that makes it the provider's word has been checked.
class Claim {
 public:
  Claim(const OpProof& proof, const seal::PublicKey& key) : proof_(proof) {
    const seal::Note note = seal::Note::parse(proof.note);
    require(seal::check_note(note, key) == seal::NoteCheck::kValid,
            "the checkpoint is not signed by the key");
    checkpoint_ = seal::Checkpoint::parse(note.text);
    require(is_ops_signature(proof.signature, proof.head, checkpoint_, key),
            "the op list is not signed by the key");
    require(
        proof.index < proof.head.count &&
            hash::verify_inclusion(hash::leaf_hash(proof.entry), static_cast<std::uint64_t>(proof.index),
                                   static_cast<std::uint64_t>(proof.head.count), proof.path, proof.head.root),
        "the proof does not show this operation in the list");
    entry_ = parse_op_entry(proof.entry);
    log_.emplace(proved_leaves(), static_cast<std::int64_t>(checkpoint_.size));
    check_manifest(key);
  }

  const OpEntry& entry() const { return entry_; }
  const LogView& log() const { return *log_; }
  const record::Step& step() const { return step_; }
  const seal::Checkpoint& checkpoint() const { return checkpoint_; }

  // After unsupported_arithmetic: the config of an unknown profile need not parse.
  void parse_step() {
    log_->parse_config();
    const record::Manifest& m = log_->manifest();
    require(log_->config().layers == m.grid.layers && log_->config().tied == m.grid.tied &&
                m.recipe.seq_len <= log_->config().max_position,
            "the manifest and its config contradict each other");
    const record::Grid& grid = log_->grid();
    const Cell& cell = proof_.head.cell;
    require(cell.block < grid.blocks() && cell.step_block < grid.step_blocks(), "the run has no such cell");
    require(entry_.step >= grid.step_begin(cell.step_block) && entry_.step < grid.step_end(cell.step_block),
            "the operation is of a step of another cell");
    require(log_->has_step(entry_.step), "the leaf of step ", entry_.step, " is not there");
    step_ = log_->step(entry_.step);
    require(step_.step == entry_.step, "the leaf is of step ", step_.step);
    require(step_.tokens <= m.recipe.batch_size * m.recipe.seq_len, "a step of ", step_.tokens, " tokens");
  }

 private:
  std::map<std::int64_t, std::string> proved_leaves() const {
    require(checkpoint_.size <= static_cast<std::uint64_t>(kMaxJsonInteger), "a log of no run");
    std::map<std::int64_t, std::string> leaves;
    for (const OpenedLeaf& leaf : proof_.leaves) {
      require(hash::verify_inclusion(hash::leaf_hash(leaf.text), static_cast<std::uint64_t>(leaf.index),
                                     checkpoint_.size, leaf.proof, checkpoint_.root),
              LogView::line(leaf.index), ": the proof does not show this leaf in the sealed log");
      leaves.emplace(leaf.index, leaf.text);
    }
    require(leaves.count(0) != 0, "the manifest is not there");
    return leaves;
  }

  void check_manifest(const seal::PublicKey& key) {
    log_->parse_manifest();
    require(checkpoint_.origin == cat(key.name(), "/", log_->manifest().run), "the origin is another run's");
    require(log_->grid().log_size() == log_->size(), "the log is not that of a whole run");
  }

  const OpProof& proof_;
  seal::Checkpoint checkpoint_;
  OpEntry entry_;
  std::optional<LogView> log_;
  record::Step step_;
};

OpInput inputs_of(const trace::SegmentReader& reader) {
  return [&reader](std::size_t i, const TensorSpec& spec, std::int64_t most) {
    const std::string path = proof_input_dataset(i);
    if (spec.shape == Shape{-1}) {
      const std::vector<std::int32_t> list = reader.read_ints(path, most);
      OpTensor tensor{{path, DType::kI32, {std::ssize(list)}}, Buffer(std::ssize(list))};
      const ByteView bytes = std::as_bytes(std::span(list));
      std::copy(bytes.begin(), bytes.end(), tensor.values.mutable_bytes().begin());
      return tensor;
    }
    const auto entries = reader.entries();
    const auto at =
        std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.path == path; });
    require(at != entries.end() && at->dtype == spec.dtype && at->shape == spec.shape, path,
            ": not there, or of another type or shape");
    OpTensor tensor{spec, Buffer(static_cast<std::int64_t>(byte_size(spec) / sizeof(float)))};
    reader.read(path, spec.dtype, spec.shape, tensor.values.mutable_bytes());
    return tensor;
  };
}

void check(const ProofOptions& options, Findings& findings, Verdict& verdict) {
  const trace::SegmentReader reader(options.proof, options.origin);
  verdict.bound["proof"] = to_hex(reader.digest());
  const OpProof proof = read_op_proof(reader);
  Claim claim(proof, options.key);
  if (const std::string why = unsupported_arithmetic(claim.log().manifest()); !why.empty())
    return findings.add(Code::kUnsupported, "proof manifest", why);
  claim.parse_step();
  const OpEntry& entry = claim.entry();
  verdict.origin = claim.checkpoint().origin;
  verdict.root = to_hex(claim.checkpoint().root);
  verdict.bound["note"] = to_hex(hash::blake3(proof.note));
  // What an operation at an end took or gave stands in the log too: it need not be run.
  if (const std::string why = contradicted_end(proof.head.cell, entry, claim.log()); !why.empty())
    return findings.add(Code::kOp, where(proof.head.cell, entry), why);
  ThreadPool pool(std::max(1, options.threads), options.accelerator);
  const std::vector<Digest> found = run_single_op(
      {claim.log(), claim.step(), pool, memory_bound(options.max_memory)}, entry, inputs_of(reader));
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i] != entry.out[i])
      return findings.add(Code::kOp, where(proof.head.cell, entry),
                          cat("output ", i, ": computed from its inputs ", to_hex(found[i]), ", signed ",
                              to_hex(entry.out[i])));
  fail(Fault::kEvidence, where(proof.head.cell, entry), ": what is signed is what it gives");
}

}  // namespace

std::string proof_input_dataset(std::size_t i) {
  return cat("/proof/inputs/", i);
}

std::string to_text(const OpProof& proof) {
  Json leaves = Json::array();
  for (const OpenedLeaf& leaf : proof.leaves) leaves.push_back(to_json(leaf));
  return canonical_json({{"type", "aftune-proof/1"},
                         {"note", proof.note},
                         {"cell", {proof.head.cell.block, proof.head.cell.step_block}},
                         {"count", proof.head.count},
                         {"root", to_hex(proof.head.root)},
                         {"signature", proof.signature},
                         {"index", proof.index},
                         {"op", proof.entry},
                         {"path", hex_json(proof.path)},
                         {"leaves", std::move(leaves)}});
}

OpProof parse_op_proof(std::string_view text) {
  const Json json =
      parse_canonical(text, {.max_bytes = static_cast<std::size_t>(kMaxIndexBytes), .max_depth = 5});
  Fields fields(json, "proof");
  if (fields.text("type", 64) != "aftune-proof/1") fail(Fault::kEvidence, "not a proof of this version");
  OpProof proof;
  proof.note = fields.text("note", seal::kMaxNoteBytes);
  proof.head.cell = cells_from_json(Json::array({fields.array("cell")})).front();
  proof.head.count = fields.integer("count", 1);
  proof.head.root = fields.digest("root");
  proof.signature = fields.text("signature", seal::kMaxNoteBytes);
  proof.index = fields.integer("index", 0);
  proof.entry = fields.text("op", std::size_t{8} << 20);
  const std::size_t length = fields.array("path").size();
  if (length > kMaxPath) fail(Fault::kEvidence, "a proof of ", length, " hashes");
  proof.path = fields.digests("path", length);
  if (fields.array("leaves").size() > 2) fail(Fault::kEvidence, "more leaves than the manifest and a step");
  for (const Json& leaf : fields.array("leaves")) proof.leaves.push_back(opened_leaf_from_json(leaf));
  fields.done();
  return proof;
}

OpProof read_op_proof(const trace::SegmentReader& reader) {
  return parse_op_proof(reader.read_text(kProofIndex, kMaxIndexBytes));
}

void write_op_proof(const fs::path& path, const OpProof& proof, const std::vector<Bytes>& inputs,
                    const std::vector<TensorSpec>& specs) {
  AFTUNE_CHECK(inputs.size() == specs.size());
  if (fs::exists(path)) fail(Fault::kUsage, path.native(), ": exists");
  trace::SegmentWriter writer(path);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    writer.add(proof_input_dataset(i), specs[i].dtype, specs[i].shape, inputs[i], trace::Packing::kRaw);
  const std::string text = to_text(proof);
  writer.add(kProofIndex, DType::kU8, {std::ssize(text)}, as_bytes(text), trace::Packing::kRaw);
  writer.commit();
}

Verdict check_op_proof(const ProofOptions& options) {
  if (!fs::is_regular_file(options.proof)) fail(Fault::kUsage, options.proof.native(), ": not a file");
  kernels::require_self_test(options.accelerator);
  Verdict verdict;
  verdict.seed_kind = "given";  // what a verdict of no challenge says
  verdict.bound["verifier"] = std::string(kSoftware);
  Findings findings(verdict);
  try {
    check(options, findings, verdict);
  } catch (const Error& e) {
    // The engine's complaints about what it was given are Error{kUsage}.
    if (e.fault() != Fault::kEvidence && e.fault() != Fault::kUsage) throw;
    findings.add(Code::kUnattributed, "proof", without_path(e.what(), options.proof));
  }
  findings.unchecked("all but one operation of one cell");
  findings.close();
  conclude(verdict, 0);
  return verdict;
}

}  // namespace aftune::audit

#include "audit/op_list.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace aftune::audit {
namespace {

using model::OpKind;

constexpr std::size_t kMaxTensors = 1 << 16;  // a cut has one output for each row of the batch

constexpr std::pair<OpKind, std::string_view> kNames[] = {
    {OpKind::kEmbedding, "embedding"},
    {OpKind::kEmbeddingGrad, "embedding-grad"},
    {OpKind::kRmsNorm, "rmsnorm"},
    {OpKind::kRmsNormGradWeight, "rmsnorm-grad-weight"},
    {OpKind::kRmsNormGradInput, "rmsnorm-grad-input"},
    {OpKind::kLayerNorm, "layernorm"},
    {OpKind::kLayerNormGradWeight, "layernorm-grad-weight"},
    {OpKind::kLayerNormGradInput, "layernorm-grad-input"},
    {OpKind::kLinear, "linear"},
    {OpKind::kLinearGradWeight, "linear-grad-weight"},
    {OpKind::kLinearGradInput, "linear-grad-input"},
    {OpKind::kRope, "rope"},
    {OpKind::kRopeGrad, "rope-grad"},
    {OpKind::kAttention, "attention"},
    {OpKind::kAttentionGrad, "attention-grad"},
    {OpKind::kAdd, "add"},
    {OpKind::kAddBias, "add-bias"},
    {OpKind::kBiasGrad, "bias-grad"},
    {OpKind::kScale, "scale"},
    {OpKind::kAddScaled, "add-scaled"},
    {OpKind::kDropout, "dropout"},
    {OpKind::kSwiglu, "swiglu"},
    {OpKind::kSwigluGrad, "swiglu-grad"},
    {OpKind::kGelu, "gelu"},
    {OpKind::kGeluGrad, "gelu-grad"},
    {OpKind::kSplit, "split"},
    {OpKind::kSplitGrad, "split-grad"},
    {OpKind::kLayerScale, "layer-scale"},
    {OpKind::kLayerScaleGradWeight, "layer-scale-grad-weight"},
    {OpKind::kPatches, "patches"},
    {OpKind::kClassToken, "class-token"},
    {OpKind::kClassTokenGrad, "class-token-grad"},
    {OpKind::kClassMean, "class-mean"},
    {OpKind::kClassMeanGrad, "class-mean-grad"},
    {OpKind::kGather, "gather"},
    {OpKind::kScatter, "scatter"},
    {OpKind::kCrossEntropy, "cross-entropy"},
    {OpKind::kRowLoss, "row-loss"},
    {OpKind::kAddUses, "add-uses"},
    {OpKind::kSumSquares, "sum-squares"},
    {OpKind::kUpdate, "update"},
    {OpKind::kCut, "cut"},
    {OpKind::kJoin, "join"},
    {OpKind::kMeanLoss, "mean-loss"},
};

Json digests_json(const std::vector<Digest>& digests) {
  Json out = Json::array();
  for (const Digest& digest : digests) out.push_back(to_hex(digest));
  return out;
}

std::vector<Digest> digests_from(Fields& fields, std::string_view key) {
  const std::size_t count = fields.array(key).size();
  if (count > kMaxTensors) fail(Fault::kEvidence, "an operation on ", count, " tensors");
  return fields.digests(key, count);
}

Json to_json(const OpEntry& entry) {
  return {{"step", entry.step},
          {"row", entry.row},
          {"op", name(entry.kind)},
          {"at", entry.at},
          {"tokens", entry.tokens},
          {"in", digests_json(entry.in)},
          {"out", digests_json(entry.out)}};
}

OpEntry entry_from(const Json& json) {
  Fields fields(json, "operation");
  OpEntry entry;
  entry.step = fields.integer("step", 0);
  entry.row = fields.integer("row", -1);
  entry.kind = op_kind_from_name(fields.text("op", 64));
  entry.at = fields.text("at", 1024);
  entry.tokens = fields.integer("tokens", 0);
  entry.in = digests_from(fields, "in");
  entry.out = digests_from(fields, "out");
  fields.done();
  return entry;
}

std::string signed_text(const OpListHead& head, const seal::Checkpoint& checkpoint) {
  return cat("aftune-ops/1\n", checkpoint.origin, '\n', checkpoint.size, '\n', to_hex(checkpoint.root), '\n',
             head.cell.block, ' ', head.cell.step_block, '\n', head.count, '\n', to_hex(head.root), '\n');
}

}  // namespace

std::string_view name(OpKind kind) {
  const auto* const found = std::find_if(std::begin(kNames), std::end(kNames),
                                         [&](const auto& entry) { return entry.first == kind; });
  AFTUNE_CHECK(found != std::end(kNames));
  return found->second;
}

OpKind op_kind_from_name(std::string_view name) {
  for (const auto& [kind, text] : kNames)
    if (text == name) return kind;
  fail(Fault::kEvidence, "no operation of ours: \"", name, '"');
}

std::string to_text(const OpEntry& entry) {
  return canonical_json(to_json(entry));
}

OpEntry parse_op_entry(std::string_view text) {
  return entry_from(parse_canonical(text, {.max_bytes = std::size_t{8} << 20, .max_depth = 3}));
}

std::string where(const Cell& cell, const OpEntry& entry) {
  return cat("cell ", cell.block, ",", cell.step_block, " step ", entry.step,
             entry.row < 0 ? "" : cat(" row ", entry.row), " ", name(entry.kind), " ", entry.at);
}

hash::MerkleTree OpList::tree() const {
  hash::MerkleTree tree;
  for (const OpEntry& entry : entries) tree.append(hash::leaf_hash(audit::to_text(entry)));
  return tree;
}

OpListHead OpList::head() const {
  return {cell, std::ssize(entries), tree().root()};
}

std::string to_text(const OpList& list) {
  Json entries = Json::array();
  for (const OpEntry& entry : list.entries) entries.push_back(to_json(entry));
  return canonical_json({{"type", "aftune-ops/1"},
                         {"cell", {list.cell.block, list.cell.step_block}},
                         {"ops", std::move(entries)},
                         {"signature", list.signature}}) +
         "\n";
}

OpList parse_op_list(std::string_view text) {
  if (!text.ends_with('\n')) fail(Fault::kEvidence, "an op list ends in LF");
  text.remove_suffix(1);
  const Json json = parse_canonical(text, {.max_bytes = kMaxOpListBytes, .max_depth = 4});
  Fields fields(json, "op list");
  if (fields.text("type", 64) != "aftune-ops/1") fail(Fault::kEvidence, "not an op list of this version");
  OpList list;
  list.cell = cells_from_json(Json::array({fields.array("cell")})).front();
  for (const Json& entry : fields.array("ops")) list.entries.push_back(entry_from(entry));
  if (list.entries.empty()) fail(Fault::kEvidence, "an op list without operations");
  list.signature = fields.text("signature", seal::kMaxNoteBytes);
  fields.done();
  return list;
}

std::string sign_ops(const OpListHead& head, const seal::Checkpoint& checkpoint, const seal::SecretKey& key) {
  return seal::sign_text(signed_text(head, checkpoint), key).to_text();
}

bool is_ops_signature(std::string_view note, const OpListHead& head, const seal::Checkpoint& checkpoint,
                      const seal::PublicKey& key) {
  try {
    const seal::Note parsed = seal::Note::parse(note);
    return parsed.text == signed_text(head, checkpoint) &&
           seal::check_note(parsed, key) == seal::NoteCheck::kValid;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace aftune::audit

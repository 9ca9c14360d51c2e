#include "audit/evidence.h"

#include <charconv>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "record/salts.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

constexpr std::size_t kMaxIndexText = std::size_t{1} << 28;
constexpr std::size_t kMaxIndexValues = std::size_t{1} << 20;  // some 60 of a leaf with its proof

Json hex_json(const std::vector<Digest>& digests) {
  Json out = Json::array();
  for (const Digest& digest : digests) out.push_back(to_hex(digest));
  return out;
}

std::vector<Digest> proof_from(Fields& fields) {
  const std::size_t length = fields.array("proof").size();
  if (length > kMaxProof) fail(Fault::kEvidence, "a proof of ", length, " hashes");
  return fields.digests("proof", length);
}

std::uint64_t count_from(Fields& fields, std::string_view key) {
  return static_cast<std::uint64_t>(fields.integer(key, 0));
}

Json cost_json(const OpeningCost& cost) {
  return {{"recreated_bytes", cost.recreated_bytes},
          {"replayed_steps", cost.replayed_steps},
          {"replayed_tokens", cost.replayed_tokens},
          {"stored_bytes", cost.stored_bytes}};
}

OpeningCost cost_from(const Json& json) {
  Fields fields(json, "cost");
  OpeningCost cost;
  cost.recreated_bytes = count_from(fields, "recreated_bytes");
  cost.replayed_steps = fields.integer("replayed_steps", 0);
  cost.replayed_tokens = fields.integer("replayed_tokens", 0);
  cost.stored_bytes = count_from(fields, "stored_bytes");
  fields.done();
  return cost;
}

// Items in ascending order by `key`, each once: one text for one content.
template <class Item, class Key>
std::vector<Item> ascending(const Json& list, Item (*read)(const Json&), Key key) {
  std::vector<Item> items;
  items.reserve(list.size());
  for (const Json& json : list) {
    items.push_back(read(json));
    if (items.size() > 1 && !(key(items[items.size() - 2]) < key(items.back())))
      fail(Fault::kEvidence, "a list that is not in order");
  }
  return items;
}

// Evidence of a run without hiding has no such member: there is one text for one content.
std::map<std::string, Digest> salts_from(const Json& json) {
  if (json.empty()) fail(Fault::kEvidence, "salts of nothing");
  Fields fields(json, "salts");
  std::map<std::string, Digest> salts;
  for (const auto& [name, value] : json.items()) {
    if (!record::is_salt_name(name)) fail(Fault::kEvidence, "salts: a name that is none");
    salts[name] = fields.digest(name);
  }
  return salts;
}

std::string signed_text(std::string_view index, const std::string& origin) {
  return cat("aftune-evidence/1\n", origin, '\n', to_hex(hash::blake3(index)), '\n');
}

}  // namespace

Cell cell_from_json(const Json& json) {
  if (!json.is_array() || json.size() != 2 || !json[0].is_number_unsigned() ||
      !json[1].is_number_unsigned() || json[0].get<std::uint64_t>() > 0x7fffffff ||
      json[1].get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxJsonInteger))
    fail(Fault::kEvidence, "a cell is [block, step block]");
  return {json[0].get<int>(), json[1].get<std::int64_t>()};
}

std::string evidence_state_dataset(std::int64_t s, const std::string& tensor) {
  return cat("/state/", s, "/", tensor);
}

std::string evidence_final_dataset(const std::string& tensor) {
  return kEvidenceFinal + tensor;
}

std::string evidence_row_dataset(std::int64_t row) {
  return cat(kEvidenceRows, row, "/text");
}

std::string evidence_row_proof_dataset(std::int64_t row) {
  return cat(kEvidenceRows, row, "/proof");
}

std::optional<std::int64_t> row_of_dataset(std::string_view path) {
  std::int64_t row = 0;
  const std::string_view prefix = kEvidenceRows;
  if (!path.starts_with(prefix)) return std::nullopt;
  const auto [end, code] = std::from_chars(path.data() + prefix.size(), path.data() + path.size(), row);
  if (code != std::errc() || row < 0) return std::nullopt;
  const bool same = path == evidence_row_dataset(row) || path == evidence_row_proof_dataset(row);
  return same ? std::optional(row) : std::nullopt;
}

Json to_json(const OpenedLeaf& leaf) {
  return {{"index", leaf.index}, {"leaf", leaf.text}, {"proof", hex_json(leaf.proof)}};
}

OpenedLeaf opened_leaf_from_json(const Json& json) {
  Fields fields(json, "leaf");
  OpenedLeaf leaf;
  leaf.index = fields.integer("index", 0);
  leaf.text = fields.text("leaf", 65535);
  leaf.proof = proof_from(fields);
  fields.done();
  return leaf;
}

std::string to_text(const EvidenceIndex& index) {
  Json cells = Json::array(), leaves = Json::array(), datasets = Json::object();
  for (const Cell& cell : index.cells) cells.push_back({cell.block, cell.step_block});
  for (const OpenedLeaf& leaf : index.leaves) leaves.push_back(to_json(leaf));
  for (const auto& [path, digest] : index.datasets) datasets[path] = to_hex(digest);
  Json json = {{"type", "aftune-evidence/1"},          {"note", index.note},
               {"challenge", to_hex(index.challenge)}, {"cells", std::move(cells)},
               {"leaves", std::move(leaves)},          {"datasets", std::move(datasets)},
               {"cost", cost_json(index.cost)}};
  for (const auto& [salt, value] : index.salts) json["salts"][salt] = to_hex(value);
  return canonical_json(json);
}

EvidenceIndex parse_evidence_index(std::string_view text) {
  const Json json =
      parse_canonical(text, {.max_bytes = kMaxIndexText, .max_depth = 5, .max_values = kMaxIndexValues});
  Fields fields(json, "evidence");
  if (fields.text("type", 64) != "aftune-evidence/1") fail(Fault::kEvidence, "not evidence of this version");
  EvidenceIndex index;
  index.note = fields.text("note", seal::kMaxNoteBytes);
  index.challenge = fields.digest("challenge");
  index.cells = ascending(fields.array("cells"), cell_from_json, [](const Cell& c) { return c; });
  index.leaves =
      ascending(fields.array("leaves"), opened_leaf_from_json, [](const OpenedLeaf& l) { return l.index; });
  Fields datasets(fields.object("datasets"), "datasets");
  for (const auto& [path, digest] : fields.object("datasets").items())
    index.datasets[path] = datasets.digest(path);
  if (fields.has("salts")) index.salts = salts_from(fields.object("salts"));
  index.cost = cost_from(fields.object("cost"));
  fields.done();
  return index;
}

std::string sign_evidence(std::string_view index, const std::string& origin, const seal::SecretKey& key) {
  return seal::sign_text(signed_text(index, origin), key).to_text();
}

bool is_evidence_signature(std::string_view note, std::string_view index, const std::string& origin,
                           const seal::PublicKey& key) {
  try {
    const seal::Note parsed = seal::Note::parse(note);
    return parsed.text == signed_text(index, origin) &&
           seal::check_note(parsed, key) == seal::NoteCheck::kValid;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::int64_t> leaves_of_cells(const record::Grid& grid, const std::vector<Cell>& cells) {
  std::set<std::int64_t> leaves = {0, grid.state_leaf(0), grid.state_leaf(grid.step_blocks()),
                                   grid.final_leaf()};
  for (const Cell& cell : cells) {
    const std::int64_t s = cell.step_block;
    leaves.insert({grid.state_leaf(s), grid.state_leaf(s + 1)});
    for (std::int64_t t = grid.step_begin(s); t < grid.step_end(s); ++t) leaves.insert(grid.step_leaf(t));
    if (s > 0) leaves.insert(grid.step_leaf(grid.step_begin(s) - 1));
  }
  return {leaves.begin(), leaves.end()};
}

}  // namespace aftune::audit

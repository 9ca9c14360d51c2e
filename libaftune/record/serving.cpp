#include "record/serving.h"

#include <algorithm>

#include "hash/blake3.h"
#include "record/leaf_json.h"

namespace aftune::record {
namespace {

constexpr std::int64_t kMaxBlockLayers = 1 << 20;
// A journal line holds the bytes that came, once, and text that follows from so many tokens.
constexpr JsonLimits kJournalLimits{.max_bytes = std::size_t{64} << 20, .max_depth = 4};

std::vector<std::int32_t> ids(Fields& fields, std::string_view key) {
  std::vector<std::int32_t> out;
  for (const Json& item : fields.array(key)) {
    if (!item.is_number_integer() || item < 0 || item > kMaxTokenId)
      fail(Fault::kEvidence, '"', key, "\" has an entry that is no token id");
    out.push_back(item.get<std::int32_t>());
  }
  return out;
}

bool is_ascending(const std::vector<std::int32_t>& list) {
  return std::adjacent_find(list.begin(), list.end(), std::greater_equal<>()) == list.end();
}

Json to_json(const std::optional<Lineage>& lineage) {
  if (!lineage) return nullptr;
  return {{"index", lineage->index},
          {"origin", lineage->origin},
          {"root", to_hex(lineage->root)},
          {"size", lineage->size}};
}

std::optional<Lineage> read_lineage(Fields& fields) {
  const Json& json = fields.at("lineage");
  if (json.is_null()) return std::nullopt;
  Fields inner(json, "lineage");
  Lineage lineage;
  lineage.size = inner.integer("size", 1);
  lineage.index = inner.integer("index", 0, lineage.size - 1);
  lineage.origin = inner.text("origin", 1024);
  lineage.root = inner.digest("root");
  inner.done();
  return lineage;
}

Json answer_record(const Exchange& exchange) {
  return {{"ask", exchange.ask},
          {"endpoint", exchange.endpoint},
          {"finish", exchange.finish},
          {"text", exchange.text},
          {"tokens", exchange.tokens}};
}

}  // namespace

Digest request_digest(const Exchange& exchange) {
  return hash::blake3(exchange.request);
}

Digest prompt_digest(const Exchange& exchange) {
  return hash::blake3(std::as_bytes(std::span(exchange.prompt)));
}

Digest answer_digest(const Exchange& exchange) {
  return hash::blake3(canonical_json(answer_record(exchange)));
}

RequestLeaf publish(const Exchange& exchange, const std::vector<Digest>& boundaries, std::int64_t leaf,
                    std::int64_t created, const Salts& salts) {
  const auto salted = [&](Role role, std::int64_t index, const Digest& digest) {
    return published(&salts, {leaf, role, index}, digest);
  };
  RequestLeaf out{.created = created,
                  .prompt_tokens = std::ssize(exchange.prompt),
                  .answer_tokens = std::ssize(exchange.tokens),
                  .request = salted(Role::kRequest, 0, request_digest(exchange)),
                  .prompt = salted(Role::kPrompt, 0, prompt_digest(exchange)),
                  .answer = salted(Role::kAnswer, 0, answer_digest(exchange)),
                  .activations = {}};
  for (const Digest& digest : boundaries)
    out.activations.push_back(salted(Role::kActivation, std::ssize(out.activations), digest));
  return out;
}

std::string to_leaf(const ServingManifest& m) {
  AFTUNE_CHECK(is_ascending(m.eos));
  return seal_leaf("serving-manifest", {{"base", to_json(m.base)},
                                        {"config", m.config},
                                        {"created", m.created},
                                        {"default_tokens", m.default_tokens},
                                        {"eos", m.eos},
                                        {"hiding_key", to_hex(m.hiding_key)},
                                        {"layers_per_block", m.layers_per_block},
                                        {"lineage", to_json(m.lineage)},
                                        {"merge_delay", m.merge_delay},
                                        {"most_tokens", m.most_tokens},
                                        {"numerics", numerics_json(m.ops, m.profile)},
                                        {"run", m.run},
                                        {"software", m.software},
                                        {"template", m.template_},
                                        {"tokenizer", to_hex(m.tokenizer)}});
}

ServingManifest parse_serving_manifest(std::string_view leaf) {
  return open_leaf("serving-manifest", leaf, [](Fields& fields) {
    ServingManifest m;
    m.base = tensor_list(fields, "base");
    m.config = fields.text("config");
    m.created = fields.integer("created", 0);
    m.most_tokens = fields.integer("most_tokens", 1);
    m.default_tokens = fields.integer("default_tokens", 1, m.most_tokens);
    m.eos = ids(fields, "eos");
    if (!is_ascending(m.eos)) fail(Fault::kEvidence, "serving-manifest: \"eos\" is not ascending");
    m.hiding_key = fields.digest("hiding_key");
    m.layers_per_block = fields.integer("layers_per_block", 1, kMaxBlockLayers);
    m.lineage = read_lineage(fields);
    m.merge_delay = fields.integer("merge_delay", 1);
    read_numerics(fields, m.ops, m.profile);
    m.run = fields.text("run", 32);
    within("run", [&] { from_hex(m.run); });
    if (m.run.size() != 32) fail(Fault::kEvidence, "serving-manifest: \"run\" is not 32 hex digits");
    m.software = fields.text("software", 256);
    m.template_ = fields.text("template");
    m.tokenizer = fields.digest("tokenizer");
    return m;
  });
}

std::string to_leaf(const RequestLeaf& r) {
  return seal_leaf("request", {{"activations", hex_list(r.activations)},
                               {"answer", to_hex(r.answer)},
                               {"answer_tokens", r.answer_tokens},
                               {"created", r.created},
                               {"prompt", to_hex(r.prompt)},
                               {"prompt_tokens", r.prompt_tokens},
                               {"request", to_hex(r.request)}});
}

RequestLeaf parse_request(std::string_view leaf, std::size_t boundaries) {
  return open_leaf("request", leaf, [&](Fields& fields) {
    const std::size_t count =
        boundaries == std::string_view::npos ? fields.array("activations").size() : boundaries;
    return RequestLeaf{.created = fields.integer("created", 0),
                       .prompt_tokens = fields.integer("prompt_tokens", 1),
                       .answer_tokens = fields.integer("answer_tokens", 1),
                       .request = fields.digest("request"),
                       .prompt = fields.digest("prompt"),
                       .answer = fields.digest("answer"),
                       .activations = fields.digests("activations", count)};
  });
}

std::string to_leaf(const ServingFinal& f) {
  return seal_leaf(
      "serving-final",
      {{"answer_tokens", f.answer_tokens}, {"answers", f.answers}, {"prompt_tokens", f.prompt_tokens}});
}

ServingFinal parse_serving_final(std::string_view leaf) {
  return open_leaf("serving-final", leaf, [](Fields& fields) {
    return ServingFinal{.answers = fields.integer("answers", 0),
                        .prompt_tokens = fields.integer("prompt_tokens", 0),
                        .answer_tokens = fields.integer("answer_tokens", 0)};
  });
}

std::string kind_of_leaf(std::string_view leaf) {
  if (leaf.size() > kMaxLeafBytes) fail(Fault::kEvidence, "leaf: longer than ", kMaxLeafBytes);
  const Json json = within("leaf", [&] { return parse_canonical(leaf); });
  return Fields(json, "leaf").text("kind", 64);
}

std::string to_journal(std::int64_t leaf, const Exchange& exchange) {
  Json json = answer_record(exchange);
  json["leaf"] = leaf;
  json["prompt"] = exchange.prompt;
  json["request"] = exchange.request;
  return canonical_json(json);
}

JournalLine parse_journal(std::string_view line) {
  const Json json = within("journal", [&] { return parse_canonical(line, kJournalLimits); });
  Fields fields(json, "journal");
  JournalLine out;
  out.leaf = fields.integer("leaf", 1);
  out.exchange = {.endpoint = fields.text("endpoint", 64),
                  .request = fields.text("request", kJournalLimits.max_bytes),
                  .ask = fields.integer("ask", 0),
                  .prompt = ids(fields, "prompt"),
                  .tokens = ids(fields, "tokens"),
                  .text = fields.text("text", kJournalLimits.max_bytes),
                  .finish = fields.text("finish", 64)};
  fields.done();
  return out;
}

std::uint64_t seed_of_request(const Digest& serving_leaf_hash, const Digest& request) {
  Bytes bytes;
  for (const Digest* part : {&serving_leaf_hash, &request}) {
    const ByteView view = as_bytes(*part);
    bytes.insert(bytes.end(), view.begin(), view.end());
  }
  const Digest seed = hash::blake3_derive_key("aftune/serve-seed/1", bytes);
  return load_le<std::uint64_t>(as_bytes(seed).data());
}

}  // namespace aftune::record

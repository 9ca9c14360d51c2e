#include "record/leaf_json.h"

namespace aftune::record {
namespace {

constexpr std::int64_t kMaxLayers = 1 << 20;

Json grid_json(const Grid& grid) {
  return {{"layers", grid.layers},
          {"layers_per_block", grid.layers_per_block},
          {"steps_per_block", grid.steps_per_block},
          {"tied", grid.tied}};
}

// The number of steps is the recipe's; it is not written twice.
Grid read_grid(Fields& fields, std::int64_t steps) {
  Fields inner(fields.object("grid"), "grid");
  Grid grid;
  grid.layers = static_cast<int>(inner.integer("layers", 1, kMaxLayers));
  grid.layers_per_block = static_cast<int>(inner.integer("layers_per_block", 1, kMaxLayers));
  grid.steps_per_block = inner.integer("steps_per_block", 1, std::int64_t{1} << 40);
  grid.tied = inner.boolean("tied");
  grid.steps = steps;
  inner.done();
  return grid;
}

Json eval_json(const Manifest& m) {
  if (!m.eval_root) return nullptr;
  return {{"every", m.eval_every}, {"root", to_hex(*m.eval_root)}, {"rows", m.eval_rows}};
}

void read_eval(Fields& fields, Manifest& m) {
  const Json& eval = fields.at("eval");
  if (eval.is_null()) return;
  Fields inner(eval, "eval");
  m.eval_every = inner.integer("every", 1);
  m.eval_root = inner.digest("root");
  m.eval_rows = inner.integer("rows", 1);
  inner.done();
}

void read_data(Fields& fields, Manifest& m) {
  Fields inner(fields.object("data"), "data");
  m.data_root = inner.digest("root");
  m.data_rows = inner.integer("rows", 1);
  inner.done();
}

// A run without hiding does not mention it: there is one text for one manifest.
void read_hiding(Fields& fields, Manifest& m) {
  if (!fields.has("hiding")) return;
  if (!fields.boolean("hiding")) fail(Fault::kEvidence, "manifest: \"hiding\" is there and not true");
  m.hiding_key = fields.digest("hiding_key");
}

std::string lower_hex(Fields& fields, std::string_view key, std::size_t max_bytes) {
  std::string hex = fields.text(key, 2 * max_bytes);
  within(key, [&] { return from_hex(hex); });
  return hex;
}

}  // namespace

std::string to_leaf(const Manifest& m) {
  AFTUNE_CHECK(m.grid.steps == m.recipe.steps);
  Json members = {{"base", to_json(m.base)},
                  {"bos", m.bos},
                  {"config", m.config},
                  {"created", m.created},
                  {"data", {{"root", to_hex(m.data_root)}, {"rows", m.data_rows}}},
                  {"eos", m.eos},
                  {"eval", eval_json(m)},
                  {"grid", grid_json(m.grid)},
                  {"nonce", m.nonce},
                  {"numerics", numerics_json(m.ops, m.profile, m.native)},
                  {"recipe", to_json(m.recipe)},
                  {"run", m.run},
                  {"software", m.software},
                  {"template", m.template_}};
  if (m.images)
    members["images"] = to_json(*m.images);
  else
    members["tokenizer"] = to_hex(m.tokenizer);
  AFTUNE_CHECK(!m.adapter || m.recipe.is_lora());
  if (m.adapter) members["adapter"] = to_json(*m.adapter);
  if (m.hiding_key) members.update({{"hiding", true}, {"hiding_key", to_hex(*m.hiding_key)}});
  return seal_leaf("manifest", std::move(members));
}

Manifest parse_manifest(std::string_view leaf) {
  return open_leaf("manifest", leaf, [](Fields& fields) {
    Manifest m;
    m.base = tensor_list(fields, "base");
    m.bos = fields.integer("bos", -1, kMaxTokenId);
    m.config = fields.text("config");
    m.created = fields.integer("created", 0);
    read_data(fields, m);
    m.eos = fields.integer("eos", -1, kMaxTokenId);
    read_eval(fields, m);
    m.recipe = recipe_from_json(fields.object("recipe"));
    if (m.recipe.is_lora() && fields.has("adapter")) m.adapter = tensor_list(fields, "adapter");
    m.grid = read_grid(fields, m.recipe.steps);
    read_hiding(fields, m);
    m.nonce = lower_hex(fields, "nonce", 1024);
    read_numerics(fields, m.ops, m.profile, &m.native);
    m.run = lower_hex(fields, "run", 16);
    if (m.run.size() != 32) fail(Fault::kEvidence, "manifest: \"run\" is not 32 hex digits");
    m.software = fields.text("software", 256);
    m.template_ = fields.text("template");
    if (fields.has("images"))
      m.images = normalisation_from_json(fields.object("images"));
    else
      m.tokenizer = fields.digest("tokenizer");
    return m;
  });
}

}  // namespace aftune::record

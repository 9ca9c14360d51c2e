#include "trace/overview.h"

#include <algorithm>
#include <charconv>
#include <iomanip>

#include "base/error.h"
#include "seal/note.h"
#include "trace/log.h"
#include "trace/segment.h"

namespace aftune::trace {
namespace {

void count_leaves(const Log& log, Overview& o) {
  const record::Grid& grid = o.manifest.grid;
  for (std::int64_t t = 0; t < grid.steps && grid.step_leaf(t) < o.leaves; ++t) {
    const auto at = static_cast<std::size_t>(grid.step_leaf(t));
    const record::Step step =
        within(cat("line ", at + 1), [&] { return record::parse_step(log.leaves[at], grid); });
    o.losses.push_back(step.loss);
    o.tokens += step.tokens;
    o.predicted += step.predicted;
    ++o.steps;
  }
  for (std::int64_t s = 0; s <= grid.step_blocks() && grid.state_leaf(s) < o.leaves; ++s) ++o.states;
}

bool holds_snapshot(const SegmentReader& segment) {
  for (const auto& entry : segment.entries())
    if (entry.path.starts_with("/state/")) return true;
  return false;
}

// Segment i is written just before the leaf of state i: those of a log that claims 2^40 steps are not looked
// for.
void count_segments(const Layout& layout, Overview& o) {
  for (std::int64_t i = 0; i <= std::min(o.manifest.grid.step_blocks(), o.states); ++i) {
    const fs::path path = layout.segment(i);
    if (!fs::exists(path)) continue;
    ++o.segments;
    o.segment_bytes += fs::file_size(path);
    o.snapshots += holds_snapshot(SegmentReader(path, Origin::kForeign)) ? 1 : 0;
  }
}

/// Loss as its shortest decimal, so that JSON shows 2.5 and not 2.500000119.
double readable(float value) {
  char digits[32];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  double wide = 0;
  std::from_chars(digits, end, wide);
  return wide;
}

Json list_json(const record::TensorList& list) {
  return {{"dtype", name(list.dtype)}, {"tensors", list.digests.size()}, {"root", to_hex(list.root)}};
}

// Real members as numbers: the manifest itself writes them as bits.
Json recipe_json(const record::Recipe& r) {
  Json json = record::to_json(r);
  json["beta1"] = r.beta1;
  json["beta2"] = r.beta2;
  json["eps"] = r.eps;
  json["momentum"] = r.momentum;
  json["weight_decay"] = r.weight_decay;
  json["lr"] = r.lr;
  json["clip_norm"] = r.clip_norm;
  if (r.is_lora()) {
    json["lora_alpha"] = r.lora_alpha;
    json["lora_dropout"] = r.lora_dropout;
  }
  return json;
}

Json manifest_json(const record::Manifest& m) {
  Json json = {{"run", m.run},
               {"created", m.created},
               {"software", m.software},
               {"nonce", m.nonce},
               {"config", m.config},
               {"base", list_json(m.base)},
               {"data_root", to_hex(m.data_root)},
               {"data_rows", m.data_rows},
               {"hiding", m.hiding()},
               {"profile", m.profile},
               {"ops", m.ops},
               {"recipe", recipe_json(m.recipe)},
               {"grid",
                {{"layers", m.grid.layers},
                 {"tied", m.grid.tied},
                 {"layers_per_block", m.grid.layers_per_block},
                 {"steps", m.grid.steps},
                 {"steps_per_block", m.grid.steps_per_block},
                 {"blocks", m.grid.blocks()},
                 {"step_blocks", m.grid.step_blocks()},
                 {"stages", m.grid.stages()},
                 {"cells", m.grid.cells()}}}};
  if (m.images)
    json["images"] = {{"mean", m.images->mean}, {"rescale", m.images->rescale}, {"std", m.images->std}};
  else
    json["tokenizer"] = to_hex(m.tokenizer);
  if (m.adapter) json["adapter"] = list_json(*m.adapter);
  if (m.native)
    json["native"] = {
        {"device", m.native->device}, {"capability", m.native->capability}, {"library", m.native->library}};
  return json;
}

Json checkpoint_json(const Overview& o) {
  if (!o.checkpoint) return nullptr;
  return {
      {"origin", o.checkpoint->origin}, {"size", o.checkpoint->size}, {"root", to_hex(o.checkpoint->root)}};
}

}  // namespace

Overview overview(const Layout& layout) {
  if (!fs::is_directory(layout.root)) fail(Fault::kUsage, layout.root.native(), ": not a trace directory");
  const Log log = Log::read(layout.log());
  if (log.leaves.empty()) fail(Fault::kUsage, layout.log().native(), ": empty");
  Overview o;
  within(layout.log().native(), [&] {
    o.manifest = within("line 1", [&] { return record::parse_manifest(log.leaves.front()); });
    o.leaves = std::ssize(log.leaves);
    o.log_root = to_hex(log.tree().root());
    o.torn = log.torn;
    o.closed = o.leaves == o.manifest.grid.log_size();
    count_leaves(log, o);
  });
  o.log_bytes = fs::file_size(layout.log());
  count_segments(layout, o);
  if (fs::exists(layout.checkpoint()))
    o.checkpoint = within(layout.checkpoint().native(), [&] {
      return seal::Checkpoint::parse(
          seal::Note::parse(read_file(layout.checkpoint(), seal::kMaxNoteBytes, Links::kRefuse)).text);
    });
  return o;
}

Json to_json(const Overview& o) {
  Json losses = Json::array();
  for (const float loss : o.losses) losses.push_back(readable(loss));
  return {{"manifest", manifest_json(o.manifest)},
          {"log",
           {{"leaves", o.leaves},
            {"expected", o.manifest.grid.log_size()},
            {"root", o.log_root},
            {"closed", o.closed},
            {"torn", o.torn}}},
          {"checkpoint", checkpoint_json(o)},
          {"counts",
           {{"steps", o.steps},
            {"states", o.states},
            {"tokens", o.tokens},
            {"predicted", o.predicted},
            {"segments", o.segments},
            {"snapshots", o.snapshots}}},
          {"bytes", {{"log", o.log_bytes}, {"segments", o.segment_bytes}}},
          {"losses", losses}};
}

std::string describe(const Overview& o) {
  const record::Grid& g = o.manifest.grid;
  std::ostringstream out;
  out << std::fixed << std::setprecision(4);
  out << "run        " << o.manifest.run << ", " << o.manifest.software << ", numerics " << o.manifest.profile
      << (o.manifest.native ? cat(" (", o.manifest.native->device, ", compute capability ",
                                  o.manifest.native->capability, ", ", o.manifest.native->library, ")")
                            : "")
      << '\n';
  out << "recipe     " << o.manifest.recipe.method << ' ' << o.manifest.recipe.optimizer << ", " << g.steps
      << " steps of " << o.manifest.recipe.batch_size << " rows, " << o.manifest.data_rows << " rows of data"
      << (o.manifest.hiding() ? ", digests hidden" : "") << '\n';
  out << "grid       " << g.blocks() << " layer blocks x " << g.step_blocks()
      << " step blocks = " << g.cells() << " cells\n";
  out << "log        " << o.leaves << " of " << g.log_size() << " leaves, " << o.log_bytes << " bytes"
      << (o.torn ? ", last line torn" : "") << (o.closed ? "" : ", open") << '\n';
  out << "root       " << o.log_root << '\n';
  out << "segments   " << o.segments << ", of these " << o.snapshots << " with a snapshot, "
      << o.segment_bytes << " bytes\n";
  if (o.checkpoint)
    out << "checkpoint " << o.checkpoint->origin << ", size " << o.checkpoint->size << '\n';
  else
    out << "checkpoint none\n";
  if (!o.losses.empty())
    out << "loss       " << o.losses.front() << " at step 0, " << o.losses.back() << " at step "
        << o.losses.size() - 1 << '\n';
  return out.str();
}

}  // namespace aftune::trace

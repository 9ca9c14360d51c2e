#include "record/leaves.h"

#include "record/leaf_json.h"

namespace aftune::record {
namespace {

// More files than any export folder has, and fewer than would make a leaf slow to read.
constexpr std::size_t kMaxFiles = 256;

Json hex_sums(const std::vector<double>& sums) {
  Json list = Json::array();
  for (const double s : sums) list.push_back(double_hex(s));
  return list;
}

std::vector<double> read_sums(Fields& fields, std::size_t units) {
  const Json& list = fields.array("sums");
  if (list.size() != units)
    fail(Fault::kEvidence, "step: \"sums\" has ", list.size(), " entries, not ", units);
  std::vector<double> sums;
  for (const Json& item : list) {
    if (!item.is_string()) fail(Fault::kEvidence, "step: \"sums\" has an entry that is not a string");
    sums.push_back(
        within("step: \"sums\"", [&] { return double_from_hex(item.get_ref<const std::string&>()); }));
  }
  return sums;
}

std::optional<float> read_eval_loss(Fields& fields) {
  if (fields.at("eval_loss").is_null()) return std::nullopt;
  return fields.float_bits("eval_loss");
}

// Files of an export lie in one folder: a name is a plain file name, so that it can lead nowhere else.
bool is_plain_name(const std::string& name) {
  if (name.empty() || name.size() > 255 || name.front() == '.') return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    if (!plain) return false;
  }
  return true;
}

Json files_json(const std::map<std::string, Digest>& files) {
  Json json = Json::object();
  for (const auto& [name, digest] : files) {
    AFTUNE_CHECK(is_plain_name(name));
    json[name] = to_hex(digest);
  }
  return json;
}

std::map<std::string, Digest> read_files(Fields& fields) {
  const Json& json = fields.object("files");
  if (json.size() > kMaxFiles) fail(Fault::kEvidence, "final: \"files\" names more than ", kMaxFiles);
  Fields inner(json, "files");
  std::map<std::string, Digest> files;
  for (const auto& [name, value] : json.items()) {
    if (!is_plain_name(name)) fail(Fault::kEvidence, "final: \"files\" holds a name that is not plain");
    files[name] = inner.digest(name);
  }
  return files;
}

}  // namespace

std::string to_leaf(const Step& s) {
  return seal_leaf("step", {{"activations", hex_list(s.activations)},
                            {"clip", float_hex(s.clip)},
                            {"epoch", s.epoch},
                            {"eval_loss", s.eval_loss ? Json(float_hex(*s.eval_loss)) : Json(nullptr)},
                            {"from", s.from},
                            {"gradients", hex_list(s.gradients)},
                            {"labels", to_hex(s.labels)},
                            {"layout", to_hex(s.layout)},
                            {"loss", float_hex(s.loss)},
                            {"lr", double_hex(s.lr)},
                            {"norm", double_hex(s.norm)},
                            {"predicted", s.predicted},
                            {"step", s.step},
                            {"sums", hex_sums(s.sums)},
                            {"to", s.to},
                            {"token_ids", to_hex(s.token_ids)},
                            {"tokens", s.tokens}});
}

Step parse_step(std::string_view leaf, const Grid& grid) {
  return open_leaf("step", leaf, [&](Fields& fields) {
    const auto boundaries = static_cast<std::size_t>(grid.boundaries());
    Step s;
    s.activations = fields.digests("activations", boundaries);
    s.clip = fields.float_bits("clip");
    s.epoch = fields.integer("epoch", 0);
    s.eval_loss = read_eval_loss(fields);
    s.from = fields.integer("from", 0);
    s.gradients = fields.digests("gradients", boundaries);
    s.labels = fields.digest("labels");
    s.layout = fields.digest("layout");
    s.loss = fields.float_bits("loss");
    s.lr = fields.double_bits("lr");
    s.norm = fields.double_bits("norm");
    s.tokens = fields.integer("tokens", 1);
    s.predicted = fields.integer("predicted", 1, s.tokens);
    s.step = fields.integer("step", 0, grid.steps - 1);
    s.sums = read_sums(fields, static_cast<std::size_t>(grid.units()));
    s.to = fields.integer("to", s.from + 1);
    s.token_ids = fields.digest("token_ids");
    return s;
  });
}

std::string to_leaf(const State& s) {
  return seal_leaf("state",
                   {{"blocks", hex_list(s.blocks)}, {"state", s.state}, {"steps_done", s.steps_done}});
}

State parse_state(std::string_view leaf, const Grid& grid) {
  return open_leaf("state", leaf, [&](Fields& fields) {
    State s;
    s.blocks = fields.digests("blocks", static_cast<std::size_t>(grid.blocks()));
    s.state = fields.integer("state", 0, grid.step_blocks());
    const std::int64_t done = s.state == 0 ? 0 : grid.step_end(s.state - 1);
    s.steps_done = fields.integer("steps_done", done, done);
    return s;
  });
}

std::string to_leaf(const Final& f) {
  return seal_leaf("final", {{"exported", to_json(f.exported)},
                             {"files", files_json(f.files)},
                             {"moments", hex_list(f.moments)},
                             {"positions", f.positions},
                             {"predicted", f.predicted},
                             {"steps", f.steps},
                             {"tokens", f.tokens}});
}

Final parse_final(std::string_view leaf, const Grid& grid, std::size_t tensors) {
  return open_leaf("final", leaf, [&](Fields& fields) {
    Final f;
    f.exported = tensor_list(fields, "exported", tensors);
    f.files = read_files(fields);
    f.moments = fields.digests("moments", static_cast<std::size_t>(grid.blocks()));
    f.positions = fields.integer("positions", 1);
    f.tokens = fields.integer("tokens", 1);
    f.predicted = fields.integer("predicted", 1, f.tokens);
    f.steps = fields.integer("steps", grid.steps, grid.steps);
    return f;
  });
}

TensorList parse_exported(std::string_view leaf) {
  const Json json = within("final", [&] { return parse_canonical(leaf); });
  Fields fields(json, "final");
  if (const std::string kind = fields.text("kind", 64); kind != "final")
    fail(Fault::kEvidence, "expected a final leaf, found \"", kind, '"');
  return tensor_list(fields, "exported");
}

}  // namespace aftune::record

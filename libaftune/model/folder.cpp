#include "model/folder.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "model/architecture.h"

namespace aftune::model {
namespace {

constexpr std::uint64_t kMaxTemplateBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxTokenizerConfigBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxIndexValues = std::size_t{1} << 20;  // two of a tensor

// A shard is a file beside the index, never a path that leads elsewhere.
void check_plain_name(const std::string& shard) {
  if (shard.empty() || shard.front() == '.' || shard.find('/') != std::string::npos ||
      shard.find('\0') != std::string::npos)
    fail(Fault::kEvidence, "\"weight_map\": not a plain file name: \"", shard, '"');
}

// Shard files and the tensors that the index expects in each.
std::map<std::string, std::set<std::string>> read_index(const fs::path& path) {
  const Json json = parse_json(read_file(path, kMaxIndexBytes),
                               {.max_bytes = kMaxIndexBytes, .max_depth = 8, .max_values = kMaxIndexValues});
  const auto found = json.is_object() ? json.find("weight_map") : json.end();
  if (found == json.end() || !found->is_object()) fail(Fault::kEvidence, "\"weight_map\" is not an object");
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string()) fail(Fault::kEvidence, "\"weight_map\": \"", tensor, "\" is not a string");
    check_plain_name(shard.get_ref<const std::string&>());
    shards[shard.get<std::string>()].insert(tensor);
  }
  return shards;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  const bool there = fs::exists(path, error);
  if (error) fail(Fault::kSystem, path.native(), ": ", error.message());
  return there;
}

}  // namespace

// With `expected`, the file must hold these tensors and no others: what one reader finds in a model, all
// must.
void Checkpoint::add_file(const fs::path& path, const std::set<std::string>* expected) {
  within(path.native(), [&] {
    files_.emplace_back(path);
    auto found = parse_safetensors(files_.back().bytes());
    for (auto& [name, entry] : found)
      if (expected != nullptr && !expected->contains(name))
        fail(Fault::kEvidence, '"', name, "\" is not listed for this file in \"weight_map\"");
    if (expected != nullptr)
      for (const std::string& name : *expected)
        if (!found.contains(name)) fail(Fault::kEvidence, '"', name, "\" is missing");
    entries_.merge(found);
  });
}

Checkpoint Checkpoint::open_file(const fs::path& safetensors) {
  Checkpoint checkpoint;
  checkpoint.add_file(safetensors, nullptr);
  return checkpoint;
}

Checkpoint Checkpoint::open(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (is_there(single)) return open_file(single);
  if (!is_there(index))
    fail(Fault::kUsage, folder.native(),
         ": neither model.safetensors nor model.safetensors.index.json is there");
  Checkpoint checkpoint;
  for (const auto& [shard, tensors] : within(index.native(), [&] { return read_index(index); }))
    checkpoint.add_file(folder / shard, &tensors);
  return checkpoint;
}

Checkpoint Checkpoint::open(const fs::path& folder, const Config& config) {
  Checkpoint checkpoint = open(folder);
  checkpoint.add_prefix(std::string(config.architecture->prefix));
  return checkpoint;
}

// As transformers: if any name has it, those that have not are no tensors of the model.
void Checkpoint::add_prefix(const std::string& prefix) {
  const auto has_it = [&](const auto& entry) { return entry.first.starts_with(prefix); };
  if (std::any_of(entries_.begin(), entries_.end(), has_it)) return;
  std::map<std::string, Entry> renamed;
  for (auto& [name, entry] : entries_) {
    if (name != "lm_head.weight") entry.spec.name = prefix + name;
    renamed.emplace(entry.spec.name, std::move(entry));
  }
  entries_ = std::move(renamed);
}

const Checkpoint::Entry* Checkpoint::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

record::TensorList base_list(const Checkpoint& base, std::vector<TensorSpec> specs, ThreadPool& pool) {
  record::TensorList list;
  for (TensorSpec& spec : specs) {
    const Checkpoint::Entry* found = base.find(spec.name);
    if (found == nullptr) fail(Fault::kEvidence, "the model has no tensor \"", spec.name, '"');
    if (list.digests.empty()) list.dtype = found->spec.dtype;
    if (found->spec.dtype != list.dtype)
      fail(Fault::kUsage, "the model mixes types: ", describe(found->spec), " beside ", name(list.dtype));
    spec = found->spec;
    list.digests.push_back(hash::blake3(found->bytes, &pool));
  }
  list.root = record::tensor_root(specs, list.digests);
  return list;
}

// transformers keeps the chat template in a file of its own, or as a member of tokenizer_config.json.
std::string read_chat_template(const fs::path& model) {
  const fs::path file = model / "chat_template.jinja", config = model / "tokenizer_config.json";
  if (fs::exists(file)) return read_file(file, kMaxTemplateBytes);
  if (!fs::exists(config)) return "";
  return within(config.native(), [&]() -> std::string {
    const Json json = parse_json(read_file(config, kMaxTokenizerConfigBytes));
    const auto found = json.is_object() ? json.find("chat_template") : json.end();
    if (found == json.end() || found->is_null()) return "";
    if (!found->is_string())
      fail(Fault::kUsage, "\"chat_template\" is not a string; several are not supported");
    return found->get<std::string>();
  });
}

}  // namespace aftune::model

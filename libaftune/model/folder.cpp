#include "model/folder.h"

#include <set>

#include "base/error.h"
#include "base/json.h"

namespace aftune::model {
namespace {

constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{64} << 20;

// A shard is a file beside the index, never a path that leads elsewhere.
void check_plain_name(const std::string& shard) {
  if (shard.empty() || shard.front() == '.' || shard.find('/') != std::string::npos ||
      shard.find('\0') != std::string::npos)
    fail(Fault::kEvidence, "\"weight_map\": \"", shard, "\" is not a plain file name");
}

std::map<std::string, std::string> read_index(const fs::path& path) {
  const Json json =
      parse_json(read_file(path, kMaxIndexBytes), {.max_bytes = kMaxIndexBytes, .max_depth = 8});
  std::map<std::string, std::string> map;
  const auto found = json.is_object() ? json.find("weight_map") : json.end();
  if (found == json.end() || !found->is_object()) fail(Fault::kEvidence, "\"weight_map\" is not an object");
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string()) fail(Fault::kEvidence, "\"weight_map\": \"", tensor, "\" is not a string");
    check_plain_name(shard.get_ref<const std::string&>());
    map.emplace(tensor, shard.get<std::string>());
  }
  return map;
}

}  // namespace

void Checkpoint::add_file(const fs::path& path) {
  within(path.native(), [&] {
    files_.emplace_back(path);
    for (auto& [name, entry] : parse(files_.back().bytes()))
      if (!entries_.emplace(name, entry).second)
        fail(Fault::kEvidence, '"', name, "\" is in another shard too");
  });
}

Checkpoint Checkpoint::open_file(const fs::path& safetensors) {
  Checkpoint checkpoint;
  checkpoint.add_file(safetensors);
  return checkpoint;
}

Checkpoint Checkpoint::open(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (fs::exists(single)) return open_file(single);
  if (!fs::exists(index))
    fail(Fault::kUsage, folder.native(),
         ": neither model.safetensors nor model.safetensors.index.json is there");
  Checkpoint checkpoint;
  const auto map = within(index.native(), [&] { return read_index(index); });
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map) shards.insert(shard);
  for (const std::string& shard : shards) checkpoint.add_file(folder / shard);
  for (const auto& [tensor, shard] : map)
    if (checkpoint.find(tensor) == nullptr)
      fail(Fault::kEvidence, index.native(), ": \"", tensor, "\" is not in \"", shard, '"');
  return checkpoint;
}

const Checkpoint::Entry* Checkpoint::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace aftune::model

#include "train/export.h"

#include <unistd.h>

#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::train {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;
constexpr const char* kCopied[] = {"tokenizer.json", "tokenizer_config.json", "generation_config.json",
                                   "special_tokens_map.json", "chat_template.jinja"};

fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A folder beside the final one that disappears with this object unless it was renamed.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& final) : path_(final.native() + cat(".tmp.", ::getpid())) {
    std::error_code error;
    fs::create_directories(parent_of(final), error);
    fs::remove_all(path_, error);
    if (!fs::create_directory(path_, error))
      fail(Fault::kSystem, path_.native(), ": create: ", error.message());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void rename_to(const fs::path& final) {
    sync_directory(path_);
    std::error_code error;
    fs::rename(path_, final, error);
    if (error) fail(Fault::kSystem, final.native(), ": rename: ", error.message());
    sync_directory(parent_of(final));
  }

 private:
  fs::path path_;
};

// What an export that was killed left beside the folder: its name, ".tmp." and a process id.
void remove_leftovers(const fs::path& out) {
  if (!fs::is_directory(parent_of(out))) return;
  const std::string prefix = out.filename().native() + ".tmp.";
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent_of(out))) {
    const std::string name = entry.path().filename().native();
    if (name.starts_with(prefix) && name.size() > prefix.size() &&
        name.find_first_not_of("0123456789", prefix.size()) == name.npos)
      leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path);
}

Digest write_weights(const fs::path& path, const model::Config& config, const Blocks& blocks) {
  std::unordered_map<std::string, ByteView> values;
  for (const auto& block : blocks)
    for (const model::Parameter& p : block->parameters()) values[p.spec.name] = p.value.bytes();
  return model::write_safetensors(path, model::all_tensors(config),
                                  [&](const TensorSpec& spec) { return values.at(spec.name); });
}

bool same_files(const fs::path& folder, const std::map<std::string, Digest>& files) {
  for (const auto& [name, digest] : files) {
    if (!fs::is_regular_file(folder / name)) return false;
    if (hash::blake3(MappedFile(folder / name).bytes()) != digest) return false;
  }
  return true;
}

}  // namespace

void check_output(const TrainOptions& options) {
  const auto is_out = [&](const fs::path& other) {
    return fs::weakly_canonical(without_slash(other)) == fs::weakly_canonical(without_slash(options.out));
  };
  const fs::path& out = options.out;
  if (is_out(options.model))
    fail(Fault::kUsage, out.native(), ": is the model; the output needs a folder of its own");
  if (options.record && is_out(options.record->trace))
    fail(Fault::kUsage, out.native(), ": is the trace; the output needs a folder of its own");
  if (!fs::exists(out)) return;
  if (!fs::is_directory(out)) fail(Fault::kUsage, out.native(), ": exists and is not a folder");
  const bool resume = options.record && options.record->resume;
  if (!resume && !fs::is_empty(out)) fail(Fault::kUsage, out.native(), ": exists and is not empty");
}

std::string exported_config(const std::string& config_text) {
  auto json = nlohmann::ordered_json::parse(config_text);
  bool changed = false;
  for (const char* key : {"torch_dtype", "dtype"})
    if (const auto found = json.find(key); found != json.end() && *found != "float32") {
      *found = "float32";
      changed = true;
    }
  return changed ? json.dump(2) + "\n" : config_text;
}

std::map<std::string, Digest> export_model(const fs::path& out, const fs::path& model, const Inputs& inputs,
                                           const Blocks& blocks) {
  const fs::path final = without_slash(out);
  remove_leftovers(final);
  TemporaryFolder folder(final);
  std::map<std::string, Digest> files;
  const auto put = [&](const char* name, const std::string& text) {
    write_file(folder.path() / name, text);
    files[name] = hash::blake3(text);
  };
  files["model.safetensors"] = write_weights(folder.path() / "model.safetensors", inputs.config, blocks);
  put("config.json", exported_config(inputs.config_text));
  for (const char* name : kCopied)
    if (fs::exists(model / name)) put(name, read_file(model / name, kMaxFileBytes));
  if (!fs::exists(final) || fs::is_empty(final))
    folder.rename_to(final);
  else if (!same_files(final, files))
    fail(Fault::kUsage, final.native(), ": exists and is not what this run exports");
  return files;
}

}  // namespace aftune::train

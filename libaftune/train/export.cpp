#include "train/export.h"

#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "model/image_processor.h"
#include "train/folder_writer.h"

namespace aftune::train {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;
constexpr const char* kCopied[] = {"tokenizer.json",         "tokenizer_config.json",
                                   "generation_config.json", "special_tokens_map.json",
                                   "chat_template.jinja",    model::kImageProcessor};

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

void put_model_files(FolderWriter& folder, const fs::path& model, const std::string& config_text) {
  folder.put("config.json", exported_config(config_text));
  for (const char* name : kCopied)
    if (fs::exists(model / name)) folder.put(name, read_file(model / name, kMaxFileBytes));
}

std::map<std::string, Digest> export_model(const fs::path& out, const fs::path& model, const Inputs& inputs,
                                           const Blocks& blocks) {
  return write_folder(out, [&](FolderWriter& folder) {
    std::unordered_map<std::string, ByteView> values;
    for (const auto& block : blocks)
      for (const model::Parameter& p : block->parameters()) values[p.spec.name] = p.value.bytes();
    folder.put_weights("model.safetensors", model::all_tensors(inputs.config),
                       [&](const TensorSpec& spec) { return values.at(spec.name); });
    put_model_files(folder, model, inputs.config_text);
  });
}

}  // namespace aftune::train

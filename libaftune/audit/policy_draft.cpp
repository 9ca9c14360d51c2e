#include "audit/policy_draft.h"

#include <algorithm>

#include "audit/policy.h"
#include "base/error.h"
#include "data/dataset.h"
#include "hash/blake3.h"
#include "model/config.h"
#include "model/folder.h"
#include "model/image_processor.h"
#include "tokenizer/folder.h"
#include "train/inputs.h"
#include "train/manifest.h"

namespace aftune::audit {
namespace {

// An auditor has to hold a cell's state and to replay its steps: an eighth of the model, and few enough
// steps.
constexpr int kLayerBlocks = 8;
constexpr std::int64_t kStepsPerBlock = 64;

bool has_weights(const fs::path& model) {
  return fs::exists(model / "model.safetensors") || fs::exists(model / "model.safetensors.index.json");
}

}  // namespace

std::string draft_policy(const fs::path& model, const fs::path& data, ThreadPool& pool) {
  const fs::path config_file = model / "config.json";
  const std::string config_text = read_file(config_file, model::kMaxConfigBytes);
  const auto config = within(config_file.native(), [&] { return model::Config::parse(config_text); });
  std::optional<record::Normalisation> images;
  if (config.images) images = model::read_normalisation(model, config);
  const data::Dataset dataset = train::read_dataset(data, config, images);
  Json policy = {{"version", 1},
                 {"config", to_hex(hash::blake3(config_text))},
                 {"data_root", to_hex(dataset.root())},
                 {"data_rows", dataset.rows()},
                 {"numerics", {"f32", name(kernels::Profile{kernels::kDefaultI14Group})}},
                 {"max_layers_per_block", (config.layers + kLayerBlocks - 1) / kLayerBlocks},
                 {"max_steps_per_block", kStepsPerBlock}};
  if (images) {
    policy["images"] = to_hex(record::digest_of(*images));
  } else {
    policy["tokenizer"] = to_hex(hash::blake3(tokenizer::read_tokenizer_of(model)));
    policy["template"] = to_hex(hash::blake3(model::read_chat_template(model)));
  }
  if (has_weights(model)) {
    const auto base = within(model.native(), [&] {
      return model::base_list(model::Checkpoint::open(model, config), model::all_tensors(config), pool);
    });
    policy["base_root"] = to_hex(base.root);
  } else {
    policy["recipe"] = {{"init", true}};
  }
  std::string text = policy.dump(2) + '\n';
  parse_policy(text);
  return text;
}

}  // namespace aftune::audit

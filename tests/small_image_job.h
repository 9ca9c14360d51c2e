#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "images.h"
#include "train/trainer.h"

namespace aftune::testing_support {

/// A training job on images of a few milliseconds a step: a classifier of 2 layers with weights from the
/// seed, and 6 images.
class SmallImageJob {
 public:
  SmallImageJob(const fs::path& folder, const std::string& kind) : folder_(folder) {
    fs::create_directories(folder_ / "base");
    const bool vit = kind == "vit";
    Json config = {{"model_type", vit ? "vit" : "dinov2"},
                   {"hidden_size", 16},
                   {"num_hidden_layers", 2},
                   {"num_attention_heads", 2},
                   {"image_size", 8},
                   {"patch_size", 4},
                   {"num_labels", 3},
                   {"layer_norm_eps", 1e-6}};
    if (vit) config["intermediate_size"] = 24;
    if (!vit) config.update({{"mlp_ratio", 2}, {"use_swiglu_ffn", kind == "dinov2-swiglu"}});
    write_file(folder_ / "base" / "config.json", config.dump());
    constexpr std::int64_t kImages = 6;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < kImages; ++i) labels.push_back(i % 3);
    write_file(
        folder_ / "rows.safetensors",
        safetensors_of({{{"pixels", DType::kU8, {kImages, 3, 8, 8}}, bytes_of(some_bytes(kImages * 192, 1))},
                        {{"labels", DType::kI64, {kImages}}, bytes_of(labels)}}));
  }

  /// Recorded in <folder>/<name>.aft, exported to <folder>/<name>.
  train::TrainOptions options(const std::string& name) const {
    train::TrainOptions o;
    o.model = folder_ / "base";
    o.data = folder_ / "rows.safetensors";
    o.out = folder_ / name;
    o.recipe.init = true;
    o.recipe.steps = 3;
    o.recipe.batch_size = 2;
    o.recipe.seed = 5;
    o.recipe.lr = 1e-2;
    o.recipe.clip_norm = 1.0;
    o.steps_per_block = 2;
    o.record = train::RecordOptions{.trace = folder_ / (name + ".aft"), .snapshot_interval = 2};
    o.run_id = "00112233445566778899aabbccddeeff";
    o.created = 1700000000;
    o.quiet = true;
    return o;
  }
  std::string log(const std::string& name) const {
    return read_file(folder_ / (name + ".aft") / "log.jsonl", 1 << 24);
  }

 private:
  fs::path folder_;
};

}  // namespace aftune::testing_support

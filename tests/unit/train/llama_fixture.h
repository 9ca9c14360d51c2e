#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "data/rows.h"
#include "model/folder.h"
#include "train/engine.h"

namespace aftune::train {

/// A case of tests/vectors/llama: a tiny model, its rows, and what PyTorch in float64 says about them.
class LlamaFixture {
 public:
  explicit LlamaFixture(const std::string& name)
      : json_(parse_json(read_file(folder() / (name + ".json"), 1 << 24))),
        tensors_(model::Checkpoint::open_file(folder() / (name + ".safetensors"))) {
    config = model::Config::parse(json_["config"].dump());
    recipe = recipe_of(json_["recipe"]);
    recipe.steps = static_cast<std::int64_t>(json_["batches"].size());
    recipe.batch_size = 3;
    recipe.seq_len = config.max_position;
    losses = json_["losses"].get<std::vector<double>>();
  }

  model::EngineOptions options(ThreadPool& pool, int layers_per_block = 1, bool recompute = false) const {
    model::EngineOptions o;
    o.config = config;
    o.recipe = recipe;
    o.recompute = recompute;
    o.pool = &pool;
    o.grid.layers = config.layers;
    o.grid.tied = config.tied;
    o.grid.layers_per_block = layers_per_block;
    o.grid.steps = recipe.steps;
    o.grid.steps_per_block = 8;
    return o;
  }

  /// Fills an engine with the initial weights.
  void load(Engine& engine) const {
    for (const auto& block : engine.blocks())
      for (model::Parameter& p : block->parameters()) {
        p.value = tensor("w0/" + p.spec.name);
        for (Buffer& m : p.moments) m = Buffer::zeros(m.size());
      }
  }

  data::Rows rows(std::int64_t step) const {
    return rows_of(json_["batches"][static_cast<std::size_t>(step)]);
  }

  /// Rows of a batch as tests/parity/torch_train.py writes it.
  static data::Rows rows_of(const Json& batch) {
    data::Rows rows;
    rows.row_starts = rows.doc_starts = {0};
    for (const Json& row : batch) {
      for (const Json& document : row) {
        for (const Json& id : document["ids"]) {
          rows.positions.push_back(
              static_cast<std::int32_t>(std::ssize(rows.tokens) - rows.doc_starts.back()));
          rows.tokens.push_back(id.get<std::int32_t>());
        }
        for (const Json& label : document["labels"]) rows.labels.push_back(label.get<std::int32_t>());
        rows.doc_starts.push_back(std::ssize(rows.tokens));
      }
      rows.row_starts.push_back(std::ssize(rows.tokens));
    }
    return rows;
  }

  static std::int64_t predicted(const data::Rows& rows) {
    std::int64_t count = 0;
    for (const std::int32_t label : rows.labels) count += label == data::kNoLabel ? 0 : 1;
    return count;
  }

  Buffer tensor(const std::string& name) const {
    const auto* entry = tensors_.find(name);
    AFTUNE_CHECK(entry != nullptr);
    return widen(entry->spec.dtype, entry->bytes);
  }

  model::Config config;
  record::Recipe recipe;
  std::vector<double> losses;

 private:
  static record::Recipe recipe_of(const Json& json) {
    record::Recipe r;
    r.optimizer = json["optimizer"].get<std::string>();
    r.schedule = json["schedule"].get<std::string>();
    r.decay_all = json["decay_all"].get<bool>();
    r.warmup_steps = json["warmup_steps"].get<std::int64_t>();
    for (const auto& [key, value] :
         {std::pair("lr", &r.lr), std::pair("clip_norm", &r.clip_norm),
          std::pair("weight_decay", &r.weight_decay), std::pair("momentum", &r.momentum),
          std::pair("beta1", &r.beta1), std::pair("beta2", &r.beta2), std::pair("eps", &r.eps)})
      *value = json[key].get<double>();
    return r;
  }
  static fs::path folder() { return fs::path(AFTUNE_TESTS_DIR) / "vectors" / "llama"; }
  Json json_;
  model::Checkpoint tensors_;
};

}  // namespace aftune::train

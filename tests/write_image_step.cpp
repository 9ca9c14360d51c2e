// What one step of a classifier of images computes, by the engine's own blocks: what
// tests/parity/image_parity.py compares with another program's.
//
// usage: write_image_step FOLDER DATA OUT [ADAPTERS]
// All rows of DATA are one batch. With a folder of adapters these are beside the model, and the gradients are
// theirs. OUT, a safetensors file, gets "loss" [1], "logits" [rows, classes] and "grad/<parameter>".
#include <cstdio>
#include <exception>
#include <map>
#include <optional>

#include "base/error.h"
#include "model/folder.h"
#include "model/image_processor.h"
#include "train/adapter_folder.h"
#include "train/engine.h"
#include "train/inputs.h"

namespace aftune {
namespace {

data::Rows rows_of(const fs::path& folder, const fs::path& path, const model::Config& config) {
  const auto images = model::read_normalisation(folder, config);
  const data::Dataset dataset = train::read_dataset(path, config, images);
  return train::evaluation_rows(dataset, data::Encoder(config.images->form(images)));
}

Matrix logits_of(train::Engine& engine, const data::Rows& rows) {
  const record::Grid& grid = engine.options().grid;
  const auto block = [&](int stage) -> model::LayerBlock& {
    return *engine.blocks()[static_cast<std::size_t>(grid.block_of_stage(stage))];
  };
  Matrix x;
  for (int stage = 0; stage + 1 < grid.stages(); ++stage)
    x = block(stage).forward(stage, rows, stage == 0 ? nullptr : &x, false).out;
  return block(grid.stages() - 1).logits(x);
}

void write_step(const fs::path& folder, const fs::path& data, const fs::path& out, const fs::path& adapters) {
  ThreadPool pool(2);
  model::EngineOptions options;
  options.config = model::Config::parse(read_file(folder / "config.json", std::uint64_t{1} << 20));
  options.grid = {.layers = options.config.layers, .tied = false, .steps = 1};
  options.recipe.steps = 1;
  options.pool = &pool;
  const model::Checkpoint base = model::Checkpoint::open(folder, options.config);
  std::optional<model::Checkpoint> beside;
  if (!adapters.empty()) {
    options.recipe.method = "lora";
    beside = train::open_adapters(adapters, options.config, options.recipe);
    options.base = &base;
  }
  train::Engine engine(options);
  for (const auto& block : engine.blocks()) model::load_base(*block, beside ? *beside : base);

  const data::Rows rows = rows_of(folder, data, options.config);
  const Matrix logits = logits_of(engine, rows);
  const train::StepResult step = engine.step(0, 0.0, rows.rows(), rows, rows.rows(), nullptr);
  Buffer loss(1);
  loss[0] = step.loss;
  std::map<std::string, ByteView> views = {{"loss", loss.bytes()}, {"logits", logits.bytes()}};
  std::vector<TensorSpec> specs = {{"loss", DType::kF32, {1}},
                                   {"logits", DType::kF32, {logits.rows, logits.cols}}};
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      specs.push_back({"grad/" + p.spec.name, DType::kF32, p.spec.shape});
      views[specs.back().name] = p.gradient.bytes();
    }
  model::write_safetensors(out, specs, [&](const TensorSpec& spec) { return views.at(spec.name); });
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  try {
    if (argc != 4 && argc != 5) return 2;
    aftune::write_step(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : "");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "write_image_step: error: %s\n", e.what());
    return 2;
  }
}

#include "train/inputs.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "model/adapter.h"
#include "model/folder.h"
#include "model/image_processor.h"
#include "tokenizer/folder.h"
#include "train/adapter_folder.h"

namespace aftune::train {
namespace {

// Steps that the first `epochs` * rows positions take.
std::int64_t steps_of(double epochs, const Inputs& in) {
  const double positions = std::ceil(epochs * static_cast<double>(in.dataset.rows()));
  if (!(positions >= 1) || positions > 1e12)
    fail(Fault::kUsage, "--epochs: ", epochs, " is not a number of epochs");
  const auto end = static_cast<std::int64_t>(positions);
  if (!in.recipe.packing) return (end + in.recipe.batch_size - 1) / in.recipe.batch_size;
  // How many documents a packed batch holds is known only when they are tokens.
  const data::Encoder encoder = in.encoder();
  const data::Order order(in.recipe.seed, in.dataset.rows());
  std::int64_t steps = 0;
  for (std::int64_t at = 0; at < end; ++steps)
    at = data::make_batch(in.dataset, encoder, order, in.recipe, at).to;
  return steps;
}

void check_recipe(const Inputs& in) {
  if (in.recipe.seq_len > in.config.max_position)
    fail(Fault::kUsage, "--seq-len ", in.recipe.seq_len, " is beyond the ", in.config.max_position,
         " positions of this model");
  if (!model::can_drop(in.config, in.recipe))
    fail(Fault::kUsage, "--lora-dropout is for models of at most 256 layers, and this one has ",
         in.config.layers);
  try {
    record::recipe_from_json(record::to_json(in.recipe));
  } catch (const Error& e) {
    fail(Fault::kUsage, e.what());  // it came from flags
  }
}

struct TextInputs {
  std::optional<tokenizer::Tokenizer> tokenizer;
  Digest digest;
};

TextInputs read_tokenizer(const fs::path& model) {
  const std::string text = tokenizer::read_tokenizer_of(model);
  return {within((model / "tokenizer.json").native(), [&] { return tokenizer::Tokenizer::parse(text); }),
          hash::blake3(text)};
}

record::Grid grid_of(const TrainOptions& options, const Inputs& in) {
  if (options.layers_per_block < 1) fail(Fault::kUsage, "--layers-per-block must be at least 1");
  if (options.steps_per_block < 1) fail(Fault::kUsage, "--steps-per-block must be at least 1");
  return {.layers = in.config.layers,
          .tied = in.config.tied,
          .layers_per_block = options.layers_per_block,
          .steps = in.recipe.steps,
          .steps_per_block = options.steps_per_block};
}

}  // namespace

void settle_image_recipe(const model::Config& config, record::Recipe& recipe) {
  if (!config.images) return;
  if (recipe.packing) fail(Fault::kUsage, "--pack is for rows of text, and this model takes images");
  recipe.seq_len = config.max_position;
  recipe.eos = false;
}

data::Dataset read_dataset(const fs::path& path, const model::Config& config,
                           const std::optional<record::Normalisation>& images) {
  return config.images ? data::Dataset::read_images(path, config.images->form(*images))
                       : data::Dataset::read(path);
}

Inputs Inputs::read(const TrainOptions& options, ThreadPool& pool) {
  if (!fs::is_directory(options.model)) fail(Fault::kUsage, options.model.native(), ": not a folder");
  std::string config_text = read_file(options.model / "config.json", model::kMaxConfigBytes);
  const auto config = within(options.model.native(), [&] { return model::Config::parse(config_text); });
  TextInputs text;
  std::optional<record::Normalisation> images;
  if (config.images)
    images = model::read_normalisation(options.model, config);
  else
    text = read_tokenizer(options.model);
  Inputs in{.config_text = std::move(config_text),
            .config = config,
            .base = std::nullopt,
            .adapters = std::nullopt,
            .tokenizer = std::move(text.tokenizer),
            .tokenizer_digest = text.digest,
            .images = images,
            .chat_template = images ? "" : model::read_chat_template(options.model),
            .dataset = read_dataset(options.data, config, images),
            .eval = std::nullopt,
            .recipe = options.recipe,
            .grid = {}};
  if (!in.recipe.init) in.base = model::Checkpoint::open(options.model, in.config);
  settle_image_recipe(in.config, in.recipe);
  if (in.recipe.is_lora() && !options.adapter)
    in.recipe.lora_targets =
        within("--lora-targets", [&] { return model::lora_targets_of(in.config, in.recipe.lora_targets); });
  if (options.adapter) in.adapters = open_adapters(*options.adapter, in.config, in.recipe);
  if (in.recipe.eos && !in.config.eos.empty()) in.eos = in.config.eos.front();
  const data::Encoder encoder = in.encoder();
  within(options.data.native(), [&] { data::check_rows(in.dataset, encoder, pool); });
  if (in.recipe.steps == 0) in.recipe.steps = steps_of(options.epochs, in);
  check_recipe(in);
  in.grid = grid_of(options, in);
  if (options.eval_data) {
    in.eval.emplace(read_dataset(*options.eval_data, in.config, in.images));
    within(options.eval_data->native(), [&] { data::check_rows(*in.eval, encoder, pool); });
    in.eval_every = options.eval_every > 0 ? options.eval_every : in.recipe.steps;
  }
  return in;
}

data::Rows evaluation_rows(const data::Dataset& dataset, const data::Encoder& encoder) {
  std::vector<std::int32_t> layout, tokens, labels;
  std::vector<float> pixels;
  std::string room;
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  for (std::int64_t i = 0; i < dataset.rows(); ++i) {
    const data::Document document = encoder.encode(dataset.row(i, room), i);
    layout.push_back(1);
    layout.push_back(static_cast<std::int32_t>(document.length()));
    append(tokens, document.tokens);
    append(labels, document.labels);
    append(pixels, document.pixels);
  }
  data::Rows rows = data::rows_from_layout(layout, std::ssize(labels));
  rows.tokens = std::move(tokens);
  rows.labels = std::move(labels);
  rows.pixels = std::move(pixels);
  return rows;
}

}  // namespace aftune::train

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "model/config.h"
#include "model/folder.h"
#include "tokenizer/tokenizer.h"
#include "train/trainer.h"

namespace aftune::train {

/// Everything that a job reads before it starts, checked as far as it can be without computing.
struct Inputs {
  std::string config_text;
  model::Config config;
  std::optional<model::Checkpoint> base;          ///< absent with recipe.init
  std::optional<model::Checkpoint> adapters;      ///< those that a run with adapters goes on from
  std::optional<tokenizer::Tokenizer> tokenizer;  ///< absent with images
  Digest tokenizer_digest;
  std::optional<record::Normalisation> images;  ///< by which pixels become what the model sees
  std::string chat_template;                    ///< "" if the model has none
  data::Dataset dataset;
  std::optional<data::Dataset> eval;
  std::int32_t eos = -1;  ///< appended to rows; -1: none
  record::Recipe recipe;  ///< with its steps resolved
  record::Grid grid;
  std::int64_t eval_every = 0;

  /// Throws Error{kUsage} or {kEvidence} naming the file or the flag. Every data row is checked.
  static Inputs read(const TrainOptions& options, ThreadPool& pool);

  data::Encoder encoder() const {
    if (images) return data::Encoder(config.images->form(*images));
    return data::Encoder(*tokenizer, recipe, eos, static_cast<std::int32_t>(config.vocab), chat_template);
  }
};

/// What a run on images has in the place of the lengths that rows of text are cut to: an image is all of a
/// row. Nothing for a model of text. Throws Error{kUsage} for a recipe that joins rows.
void settle_image_recipe(const model::Config& config, record::Recipe& recipe);

/// The rows of a file of text or, if the model takes them, of images.
data::Dataset read_dataset(const fs::path& path, const model::Config& config,
                           const std::optional<record::Normalisation>& images);

/// All rows of the evaluation set, in file order, one document a row.
data::Rows evaluation_rows(const data::Dataset& dataset, const data::Encoder& encoder);

}  // namespace aftune::train

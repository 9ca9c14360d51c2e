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
  std::optional<model::Checkpoint> base;      ///< absent with recipe.init
  std::optional<model::Checkpoint> adapters;  ///< those that a run with adapters goes on from
  tokenizer::Tokenizer tokenizer;
  Digest tokenizer_digest;
  std::string chat_template;  ///< "" if the model has none
  data::Dataset dataset;
  std::optional<data::Dataset> eval;
  std::int32_t eos = -1;  ///< appended to rows; -1: none
  record::Recipe recipe;  ///< with its steps resolved
  record::Grid grid;
  std::int64_t eval_every = 0;

  /// Throws Error{kUsage} or {kEvidence} naming the file or the flag. Every data row is checked.
  static Inputs read(const TrainOptions& options, ThreadPool& pool);

  data::Encoder encoder() const {
    return data::Encoder(tokenizer, recipe, eos, static_cast<std::int32_t>(config.vocab), chat_template);
  }
};

/// All rows of the evaluation set, in file order, one document a row.
data::Rows evaluation_rows(const data::Dataset& dataset, const data::Encoder& encoder);

}  // namespace aftune::train

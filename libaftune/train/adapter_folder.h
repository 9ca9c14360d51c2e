#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/files.h"
#include "model/config.h"
#include "model/folder.h"
#include "record/recipe.h"
#include "train/snapshot.h"

namespace aftune::train {

/// The two files of a folder of adapters, as peft reads and writes it.
inline constexpr std::string_view kAdapterWeights = "adapter_model.safetensors";
inline constexpr std::string_view kAdapterConfig = "adapter_config.json";

/// adapter_config.json of a run: its text follows from config and recipe. Of which model the adapters are is
/// not in it.
std::string adapter_config(const model::Config& config, const record::Recipe& recipe);
/// Takes rank, alpha and targets from such a text. Throws Error{kEvidence} for whatever would change the
/// arithmetic: another kind of adapter, biases, patterns, layers left out, rank-stabilised scaling.
void read_adapter_config(std::string_view text, const model::Config& config, record::Recipe& recipe);

/// Writes the trained adapters as peft loads them, F32. The folder appears whole or not at all; one that is
/// there already must hold the same files. Returns the BLAKE3 of each file.
std::map<std::string, Digest> export_adapters(const fs::path& out, const model::Config& config,
                                              const record::Recipe& recipe, const Blocks& blocks);

/// Opens such a folder; rank, alpha and targets of the recipe become its own. Throws Error{kUsage} if a file
/// is absent, {kEvidence} if there is a tensor that is none of these adapters of this model.
model::Checkpoint open_adapters(const fs::path& folder, const model::Config& config, record::Recipe& recipe);

struct MergeOptions {
  fs::path model;    ///< base model folder
  fs::path adapter;  ///< folder of adapters
  fs::path out;      ///< folder to write; must not exist, or be empty
  int threads = 1;
};
/// Writes the model whose weights have taken in the adapters, W + scale * (B A) in f32, as export_model
/// writes one. Throws Error{kUsage} or {kEvidence} naming what does not fit.
void merge(const MergeOptions& options);

}  // namespace aftune::train

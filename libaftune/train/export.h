#pragma once

#include <map>
#include <string>

#include "train/inputs.h"
#include "train/snapshot.h"

namespace aftune::train {

/// Refuses (Error{kUsage}) an output folder that is the model or the trace, or that holds something, unless
/// it may be this run's own (resume).
void check_output(const TrainOptions& options);

/// Writes the trained model as transformers loads it: model.safetensors (F32), config.json (its dtype set to
/// float32), and the tokenizer's files as they are. The folder appears whole or not at all; one that is there
/// already must hold the same files. Returns the BLAKE3 of each file.
std::map<std::string, Digest> export_model(const fs::path& out, const fs::path& model, const Inputs& inputs,
                                           const Blocks& blocks);

/// config.json for F32 weights: verbatim if it says so or nothing, else with that one member changed.
std::string exported_config(const std::string& config_text);

}  // namespace aftune::train

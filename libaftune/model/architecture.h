#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kernels/ops.h"
#include "model/config.h"
#include "model/config_reader.h"
#include "model/embedding.h"
#include "model/family.h"
#include "model/head.h"
#include "model/layer.h"
#include "model/projection.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// The code of a block's stages. Any of them serves any number of rows, layers and steps.
struct Stages {
  std::unique_ptr<Embedding> embedding;
  std::unique_ptr<Layer> layer;
  std::unique_ptr<Head> head;
};

/// What families of models have in common: which tensors a unit has and what its stage computes. There is one
/// object of each architecture, with a file of its own; everything else (state, steps, sums, updates, what is
/// recomputed, adapters, uses that are joined) is the same for all and lies in layer_block.cpp.
struct Architecture {
  std::string_view prefix;      ///< that some files leave out of the names of all tensors but lm_head's
  std::string_view layers;      ///< what names of a layer's tensors begin with, before its number and a dot
  ProjectionNames projections;  ///< of a layer, each with its weight and perhaps a bias
  std::string_view targets;     ///< those that have adapters unless others are named, as peft's
  /// The same as transformers names the modules, and so peft what stands beside them, where they are not
  /// those of the files.
  std::string_view adapter_layers = {};
  ProjectionNames adapter_projections = {};
  bool transposed = false;  ///< their weights are [in, out]: y = x W
  /// Other matrices that are read by Lookup and LmHead alone.
  std::array<std::string_view, 3> tables = {};

  /// Fills what the common part of Config::parse leaves; refuses by name what would change a result.
  void (*read_config)(const ConfigReader& in, const Family& family, Config& config);
  /// Tensors of unit u in our fixed order, by Hugging Face's names.
  std::vector<TensorSpec> (*unit_tensors)(const Config& config, int unit);
  /// Which ops the stages use, besides those that all runs do.
  kernels::OpUses (*op_uses)(const Config& config);
  Stages (*make_stages)(const StageContext& with);
  std::string_view layers_of_adapters() const { return adapter_layers.empty() ? layers : adapter_layers; }
  const ProjectionNames& projections_of_adapters() const {
    return adapter_layers.empty() ? projections : adapter_projections;
  }
  /// Floats that a layer keeps of a token from forward to backward.
  double (*kept_of_token)(const Config& config);
};

}  // namespace aftune::model

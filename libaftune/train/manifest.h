#pragma once

#include <vector>

#include "train/inputs.h"
#include "train/snapshot.h"

namespace aftune::train {

/// The manifest of a job. `initial` are the blocks in state 0; their digests are the base with recipe.init.
/// The run id is left as the options give it, perhaps empty. With a secret, it is a run with hiding.
record::Manifest manifest_of(const TrainOptions& options, const Inputs& inputs, const Blocks& initial,
                             ThreadPool& pool, const std::optional<record::RunSecret>& secret);

/// Run id and creation time: of the trace that is resumed, else as given, else a random run id.
void settle_free_fields(record::Manifest& manifest, const TrainOptions& options);

/// The F32 list of the named tensors, whose digests the blocks have.
record::TensorList parameter_list(const std::vector<TensorSpec>& specs,
                                  const std::vector<record::BlockState>& blocks);

}  // namespace aftune::train

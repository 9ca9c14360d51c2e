#pragma once

#include <string>

#include "base/files.h"
#include "base/parallel.h"

namespace aftune::audit {

/// A policy's text that pins what follows from a base model folder and a data file, with bounds on the size
/// of a cell; for the client to complete. A folder without weights pins no base tensors: the run draws them
/// from its seed. Throws as the readers of these files do.
std::string draft_policy(const fs::path& model, const fs::path& data, ThreadPool& pool);

}  // namespace aftune::audit

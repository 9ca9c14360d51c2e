#pragma once

#include <optional>

#include "audit/findings.h"
#include "audit/log_view.h"
#include "base/files.h"
#include "model/folder.h"

namespace aftune::audit {

/// `data` against the client's own rows: dataset root and count. With the client's model folder, also every
/// step's batch, made again from the text: rows, their order, tokens and labels. Errors in the client's files
/// are exceptions.
void check_data(const LogView& log, const fs::path& data, const fs::path* model, Findings& findings);

/// `state-before` against the client's base model folder: config.json and every base tensor are the
/// manifest's; `export`: the files that were to be copied are its. Returns the weights if they are.
std::optional<model::Checkpoint> check_base_model(const LogView& log, const fs::path& model,
                                                  Findings& findings);
/// Of that, the tensors alone.
std::optional<model::Checkpoint> check_base_weights(const LogView& log, const fs::path& model,
                                                    Findings& findings);
/// `state-before` of a run with adapters: those that it went on from are the client's own.
void check_first_adapters(const LogView& log, const fs::path& folder, Findings& findings);

/// `export`: the shipped folder holds exactly the files and tensors that `final` names. It is the provider's:
/// damage in it is a reason.
void check_exported(const LogView& log, const fs::path& folder, Findings& findings);

}  // namespace aftune::audit

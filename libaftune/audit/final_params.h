#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "audit/log_view.h"
#include "record/salts.h"

namespace aftune::audit {

/// Reads a parameter of the last state, F32. May throw Rejection.
using FinalReader = std::function<void(const TensorSpec& spec, std::span<std::byte> out)>;

/// `export`, of the whole model: the parameters are those of the last state's leaf, and what was exported is
/// they, or they rounded to nearest even. One tensor is in memory at a time. `where` names the source in
/// reasons. Returns how many blocks were compared and hold. Needs the leaves of the last state and `final`.
int check_final_params(const LogView& log, const FinalReader& read, const std::string& where,
                       Findings& findings);

/// In a run with hiding: the salts that this asks for.
std::vector<record::SaltName> salts_of_final_params(const LogView& log);

}  // namespace aftune::audit

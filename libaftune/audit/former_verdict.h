#pragma once

#include <string_view>
#include <vector>

#include "audit/challenge.h"

namespace aftune::audit {

/// The cells that stayed unanswered in a verdict on the run `origin`, from the text that aftune-verify --json
/// printed; sorted, without repeats. Error{kUsage} if it is no verdict, or one on another run.
std::vector<Cell> unanswered_in(std::string_view verdict, std::string_view origin);

}  // namespace aftune::audit

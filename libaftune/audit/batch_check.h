#pragma once

#include <cstdint>
#include <string>

#include "audit/findings.h"
#include "audit/log_view.h"
#include "data/dataset.h"

namespace aftune::audit {

/// `order` and `data` of one step: the batch that follows from the rows' text is the one that its leaf
/// commits to. Counts what held, and throws Rejection at the first thing that did not, at `where`. Returns
/// how many lists could not be compared, for want of their salts.
int check_batch(const LogView& log, const data::RowSource& rows, const data::Encoder& encoder,
                const data::Order& order, const record::Step& step, const std::string& where,
                Findings& findings);

/// What turns the rows of a run into tokens, or pixels. `tokenizer` is kept by reference, and null if and
/// only if the run is on images. Throws Error{kUsage} if the manifest's eos is beyond the vocabulary.
data::Encoder encoder_of(const LogView& log, const tokenizer::Tokenizer* tokenizer);

}  // namespace aftune::audit

#pragma once

#include "audit/log_view.h"
#include "audit/source.h"
#include "data/rows.h"

namespace aftune::audit {

/// What of a step's rows a block's stages see; a middle block never gets the tokens.
struct RowParts {
  bool tokens = false;
  bool labels = false;
};

/// The rows of a step (with images, `tokens` are the pixels), every list compared with its digest in the
/// step's leaf and checked to be one that training can have: shape as the recipe says, ids within the
/// vocabulary, each label none or the next token of its document, counts as recorded. Throws Rejection
/// (`evidence`, or `data` for lists that are as committed but cannot be).
data::Rows load_rows(const LogView& log, TensorSource& source, const record::Step& step, RowParts parts);

}  // namespace aftune::audit

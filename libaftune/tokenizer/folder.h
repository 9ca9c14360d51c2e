#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"

namespace aftune::tokenizer {

/// Of tokenizer.json: the largest that is read.
inline constexpr std::int64_t kMaxTokenizerBytes = std::int64_t{256} << 20;

/// The text of a model folder's tokenizer.json. Error{kUsage} if there is none; if there are GPT-2's
/// vocab.json and merges.txt in its place, which do not say all that a tokenizer does, it says what to do.
std::string read_tokenizer_of(const fs::path& model);

}  // namespace aftune::tokenizer

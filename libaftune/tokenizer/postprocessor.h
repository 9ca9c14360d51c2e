#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"

namespace aftune::tokenizer {

/// The special tokens that go around a text: of a TemplateProcessing, alone or inside a Sequence beside
/// ByteLevel (which concerns offsets only).
struct PostProcessor {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;

  /// `json` may be null. Throws Error{kEvidence} for any other kind and for more than one template.
  static PostProcessor from_json(const Json& json);
};

}  // namespace aftune::tokenizer

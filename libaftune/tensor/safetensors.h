#pragma once

#include <map>
#include <string>

#include "base/bytes.h"
#include "tensor/tensor.h"

namespace aftune {

/// A tensor of a safetensors file, whose bytes it points at.
struct SafetensorsEntry {
  TensorSpec spec;
  ByteView bytes;
};
/// The tensors of one safetensors file, by name; their bytes point into `file`. The header is checked whole
/// (tiling, sizes, names, dtypes) before any data is touched. Throws Error{kEvidence}.
std::map<std::string, SafetensorsEntry> parse_safetensors(ByteView file);

}  // namespace aftune

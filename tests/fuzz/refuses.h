#pragma once

#include "base/error.h"

namespace aftune::fuzz {

/// What a parser may do with bytes that anybody wrote: take them, or throw an Error that says they are wrong.
/// Whatever else leaves it (another exception, an Error about the machine) ends the target, and is found.
template <class Body>
bool takes(Body&& body) {
  try {
    body();
    return true;
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence && e.fault() != Fault::kUsage) throw;
    return false;
  }
}

}  // namespace aftune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size);

#pragma once

#include <string_view>

#include "record/serving.h"
#include "serve/request.h"

// What a serving manifest and a journal say in the terms of requests, for who serves and who replays.
namespace aftune::serve {

/// "batch", "completions" or "chat", as an Exchange has it.
std::string_view name(Endpoint endpoint);
/// Throws Error{kEvidence} for any other.
Endpoint endpoint_from_name(std::string_view name);
/// What the manifest states of them, and for the rest this version's.
Limits limits_of(const record::ServingManifest& manifest);
/// "stop" or "length", as an Exchange has it.
std::string_view name(generate::Finish finish);

}  // namespace aftune::serve

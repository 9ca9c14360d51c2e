#include "serve/served.h"

#include "base/error.h"

namespace aftune::serve {

std::string_view name(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kBatch:
      return "batch";
    case Endpoint::kCompletions:
      return "completions";
    case Endpoint::kChat:
      break;
  }
  return "chat";
}

Endpoint endpoint_from_name(std::string_view text) {
  for (const Endpoint endpoint : {Endpoint::kBatch, Endpoint::kCompletions, Endpoint::kChat})
    if (name(endpoint) == text) return endpoint;
  fail(Fault::kEvidence, "\"", text, "\" is no endpoint");
}

Limits limits_of(const record::ServingManifest& manifest) {
  Limits limits;
  limits.default_tokens = manifest.default_tokens;
  limits.tokens = manifest.most_tokens;
  return limits;
}

std::string_view name(generate::Finish finish) {
  return finish == generate::Finish::kStop ? "stop" : "length";
}

}  // namespace aftune::serve

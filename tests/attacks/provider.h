#pragma once

// A provider that serves: it makes answers as aftune-serve does, and may lie about them before they are
// recorded and signed.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attacks/recorded_run.h"
#include "audit/verify.h"
#include "generate/scheduler.h"
#include "model/folder.h"
#include "serve/recorder.h"
#include "serve/service.h"

namespace aftune::attacks {

/// One answer before it is recorded.
struct Made {
  record::Exchange exchange;
  std::vector<Digest> boundaries;  ///< plain
};

/// A model that generates.
class Generator {
 public:
  explicit Generator(const fs::path& model, generate::SchedulerOptions scheduling = {}, int threads = 1);

  /// All answers to the request, as an honest provider makes them.
  std::vector<Made> answer(std::string_view raw, serve::Endpoint endpoint = serve::Endpoint::kBatch);
  /// Those to several requests, which grow together.
  std::vector<Made> answer_all(const std::vector<std::string>& requests);
  std::vector<generate::Ask> asks(std::string_view raw, serve::Endpoint endpoint) const;
  /// Answers these asks and says that they came from the request.
  std::vector<Made> answer_asks(const std::vector<generate::Ask>& asks, std::string_view raw,
                                serve::Endpoint endpoint = serve::Endpoint::kBatch);
  /// The boundaries of positions 0 .. tokens - 2, in one pass; before it the cache holds `stale` instead of
  /// the first tokens, if that is not empty.
  std::vector<Digest> boundaries(const std::vector<std::int32_t>& tokens,
                                 const std::vector<std::int32_t>& stale = {});
  const record::ServingManifest& manifest() const { return service_.manifest(); }
  const tokenizer::Tokenizer& tokenizer() const { return service_.tokenizer(); }

 private:
  serve::Service service_;  // reads the model; nothing runs on it
  ThreadPool pool_;
  generate::Decoder decoder_;
  generate::SchedulerOptions scheduling_;
};

/// A trace of answers, sealed.
struct Served {
  fs::path trace;
  fs::path model;
  std::vector<seal::SignedReceipt> receipts;

  /// Every cell of every answer, from the trace.
  audit::VerifyOptions options() const;
  /// The same from evidence, which the provider has signed.
  audit::VerifyOptions evidence(const audit::Plan& plan = {.all = true}) const;
  /// The same of a challenge that is about these answers.
  audit::VerifyOptions evidence(const audit::Plan& plan, std::vector<std::int64_t> answers) const;
};
/// Records answers with this manifest, whatever they are. The model is the one that is shown to the auditor.
Served record_answers(const std::vector<Made>& answers, const record::ServingManifest& manifest,
                      const fs::path& model);

/// A folder of the small model, trained a little; another `seed` gives other weights.
fs::path served_model(std::uint64_t seed = 7, const std::string& family = "llama");

}  // namespace aftune::attacks

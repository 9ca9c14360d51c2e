#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/accelerator.h"
#include "generate/scheduler.h"
#include "kernels/profile.h"
#include "model/folder.h"
#include "serve/recorder.h"
#include "serve/request.h"

namespace aftune::serve {

struct ServiceOptions {
  fs::path model;
  kernels::Profile profile;
  int layers_per_block = 1;
  int threads = 1;
  Accelerator* accelerator = nullptr;  ///< computes in place of the threads
  std::int64_t default_tokens = 256;
  std::int64_t most_tokens = 4096;
  std::int64_t merge_delay = 60;  ///< seconds
  std::string run_id;             ///< hex; drawn if empty
  std::optional<record::Lineage> lineage = std::nullopt;
  std::optional<Digest> base_root = std::nullopt;  ///< refuse other weights than these
  generate::SchedulerOptions scheduling = {};
  std::optional<RecordOptions> record = std::nullopt;
};

/// The end of one answer of a request.
struct AnswerEnd {
  std::int64_t ask = 0;  ///< which of the request's
  generate::Ended how = generate::Ended::kFinished;
  std::string error;  ///< why it did not finish, or could not be recorded
  generate::Answer answer;
  std::int64_t prompt_tokens = 0;
  generate::Timing timing;
  std::optional<seal::SignedReceipt> receipt;
};

/// What becomes of a request. Called from threads of the service, for one request one at a time; must not
/// throw, and must not wait.
struct AnswerListener {
  /// A token of answer `ask`, with what it settles of the text; logprobs as asked for, else null.
  std::function<void(std::int64_t ask, std::string_view text,
                     const std::vector<generate::TokenLogprob>* logprobs)>
      on_token = nullptr;
  /// Each answer has one. A finished answer that is recorded is on disk by then.
  std::function<void(AnswerEnd end)> on_end;
};

/// A model that answers requests, on a thread of its own, and records them.
class Service {
 public:
  /// Throws Error{kUsage} or {kEvidence} naming the file or the flag.
  explicit Service(const ServiceOptions& options);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service();

  /// What the bytes ask for. Throws RequestError.
  Request parse(std::string_view raw, Endpoint endpoint) const;
  /// Runs all asks of a parsed request. The ids are for cancel().
  std::vector<generate::AskId> submit(std::string_view raw, Endpoint endpoint, const Request& request,
                                      AnswerListener listener);
  void cancel(generate::AskId id) { scheduler_->cancel(id); }
  generate::Scheduler::Load load() const { return scheduler_->load(); }

  const model::Config& config() const { return config_; }
  const tokenizer::Tokenizer& tokenizer() const { return *tokenizer_; }
  const record::ServingManifest& manifest() const { return manifest_; }
  const Recorder* recorder() const { return recorder_.get(); }

  /// Lets what runs come to its end, and seals the log; with `end` it is the period's last checkpoint. Throws
  /// what recording threw.
  void close(bool end);

 private:
  void ended(std::string_view raw, Endpoint endpoint, std::int64_t ask,
             const std::vector<std::int32_t>& prompt, generate::Outcome& outcome,
             const AnswerListener& listener);
  void read_model(const ServiceOptions& options);

  ThreadPool pool_;
  model::Config config_;
  std::optional<tokenizer::Tokenizer> tokenizer_;
  std::optional<chat::ChatTemplate> chat_;
  record::ServingManifest manifest_;
  std::unique_ptr<generate::Decoder> decoder_;
  std::unique_ptr<generate::Scheduler> scheduler_;
  std::unique_ptr<Recorder> recorder_;
  Digest manifest_hash_;
  std::thread engine_;
  bool closed_ = false;
};

}  // namespace aftune::serve

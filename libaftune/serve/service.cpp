#include "serve/service.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/version.h"
#include "hash/blake3.h"
#include "hash/merkle.h"
#include "kernels/ops.h"
#include "model/folder.h"
#include "serve/served.h"
#include "tokenizer/folder.h"

namespace aftune::serve {
namespace {

std::string read_if_there(const fs::path& path) {
  return fs::exists(path) ? read_file(path, model::kMaxConfigBytes) : "";
}

model::EngineOptions engine_of(const model::Config& config, const ServiceOptions& options, ThreadPool& pool) {
  return {.config = config,
          .grid = {.layers = config.layers,
                   .tied = config.tied,
                   .layers_per_block = options.layers_per_block,
                   .steps = 1,
                   .steps_per_block = 1},
          .recipe = {},
          .profile = options.profile,
          .recompute = false,
          .pool = &pool};
}

}  // namespace

Service::Service(const ServiceOptions& options) : pool_(options.threads, options.accelerator) {
  kernels::require_self_test(options.accelerator);
  read_model(options);
  if (options.record) {
    recorder_ = std::make_unique<Recorder>(*options.record, manifest_);
    manifest_ = recorder_->manifest();
  }
  // Without a log it is that of the manifest as it would be: requests without a seed differ by it.
  manifest_hash_ = recorder_ ? recorder_->manifest_hash() : hash::leaf_hash(to_leaf(manifest_));
  generate::SchedulerOptions scheduling = options.scheduling;
  scheduling.digests = recorder_ != nullptr;
  scheduler_ = std::make_unique<generate::Scheduler>(*decoder_, *tokenizer_, scheduling);
  engine_ = std::thread([this] {
    while (scheduler_->wait()) scheduler_->step();
  });
}

Service::~Service() {
  if (closed_) return;
  scheduler_->close();
  engine_.join();
}

void Service::read_model(const ServiceOptions& options) {
  const fs::path& folder = options.model;
  if (!fs::is_directory(folder)) fail(Fault::kUsage, folder.native(), ": not a folder");
  manifest_.config = read_file(folder / "config.json", model::kMaxConfigBytes);
  config_ = within(folder.native(), [&] { return model::Config::parse(manifest_.config); });
  if (config_.images)
    fail(Fault::kUsage, folder.native(), ": classifies images; only models that generate text are served");
  const fs::path tokenizer_file = folder / "tokenizer.json";
  const std::string tokenizer_text = tokenizer::read_tokenizer_of(folder);
  tokenizer_ = within(tokenizer_file.native(), [&] { return tokenizer::Tokenizer::parse(tokenizer_text); });
  manifest_.template_ = model::read_chat_template(folder);
  within(folder.native(), [&] {
    const auto eos = model::eos_ids(config_, read_if_there(folder / "generation_config.json"));
    manifest_.eos.assign(eos.begin(), eos.end());
    chat_ = chat::ChatTemplate::parse(manifest_.template_);
  });
  const auto checkpoint = model::Checkpoint::open(folder, config_);
  manifest_.base = model::base_list(checkpoint, model::all_tensors(config_), pool_);
  if (options.base_root && *options.base_root != manifest_.base.root)
    fail(Fault::kUsage, folder.native(),
         ": is not the model that the lineage is of, or that run hides its digests");
  manifest_.run = options.run_id;
  manifest_.software = std::string(kSoftware);
  manifest_.tokenizer = hash::blake3(tokenizer_text);
  manifest_.most_tokens = std::min(options.most_tokens, config_.max_position);
  manifest_.default_tokens = std::min(options.default_tokens, manifest_.most_tokens);
  manifest_.layers_per_block = options.layers_per_block;
  manifest_.profile = name(options.profile);
  manifest_.ops = kernels::op_names(options.profile, model::op_uses(config_));
  manifest_.merge_delay = options.merge_delay;
  manifest_.lineage = options.lineage;
  if (options.record) manifest_.created = options.record->now();
  decoder_ = std::make_unique<generate::Decoder>(engine_of(config_, options, pool_));
  decoder_->load(checkpoint);
}

Request Service::parse(std::string_view raw, Endpoint endpoint) const {
  const ModelFacts facts{.tokenizer = *tokenizer_,
                         .chat_template = *chat_,
                         .vocab = config_.vocab,
                         .max_position = config_.max_position,
                         .eos = {manifest_.eos.begin(), manifest_.eos.end()},
                         .limits = limits_of(manifest_)};
  return parse_request(raw, endpoint, facts, [&](std::string_view) {
    return record::seed_of_request(manifest_hash_, hash::blake3(raw));
  });
}

std::vector<generate::AskId> Service::submit(std::string_view raw, Endpoint endpoint, const Request& request,
                                             AnswerListener listener) {
  struct Shared {
    std::string raw;
    Endpoint endpoint;
    AnswerListener listener;
  };
  const auto shared = std::make_shared<const Shared>(Shared{std::string(raw), endpoint, std::move(listener)});
  std::vector<generate::AskId> ids;
  try {
    for (const generate::Ask& ask : request.asks) {
      const auto number = static_cast<std::int64_t>(ids.size());
      ids.push_back(
          scheduler_->submit(ask, [this, shared, number, prompt = ask.prompt](const generate::Event& event) {
            if (event.token != nullptr && shared->listener.on_token)
              shared->listener.on_token(number, event.text, event.logprobs);
            if (event.outcome != nullptr)
              ended(shared->raw, shared->endpoint, number, prompt, *event.outcome, shared->listener);
          }));
    }
  } catch (...) {
    // Either all of a request runs or none does.
    for (const generate::AskId id : ids) scheduler_->cancel(id);
    throw;
  }
  return ids;
}

void Service::ended(std::string_view raw, Endpoint endpoint, std::int64_t ask,
                    const std::vector<std::int32_t>& prompt, generate::Outcome& outcome,
                    const AnswerListener& listener) {
  auto end = std::make_shared<AnswerEnd>();
  end->ask = ask;
  end->how = outcome.how;
  end->error = outcome.error;
  end->answer = std::move(outcome.answer);
  end->prompt_tokens = std::ssize(prompt);
  end->timing = outcome.timing;
  if (!recorder_ || end->how != generate::Ended::kFinished) return listener.on_end(std::move(*end));
  record::Exchange exchange{.endpoint = std::string(name(endpoint)),
                            .request = std::string(raw),
                            .ask = ask,
                            .prompt = prompt,
                            .tokens = end->answer.tokens,
                            .text = end->answer.text,
                            .finish = std::string(name(end->answer.finish))};
  recorder_->add(std::move(exchange), std::move(outcome.boundaries),
                 [end, on_end = listener.on_end](const Recorder::Outcome& recorded) {
                   end->receipt = recorded.receipt;
                   if (!recorded.receipt) {
                     end->how = generate::Ended::kFailed;
                     end->error = recorded.problem;
                   }
                   on_end(std::move(*end));
                 });
}

void Service::close(bool end) {
  closed_ = true;
  scheduler_->close();
  engine_.join();
  if (recorder_) recorder_->close(end);
}

}  // namespace aftune::serve

#include "attacks/provider.h"

#include "audit/opening.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "serve/served.h"

namespace aftune::attacks {
namespace {

serve::ServiceOptions service_options(const fs::path& model) {
  return {.model = model,
          .profile = *kernels::profile_from_name("i14"),
          .layers_per_block = 1,
          .threads = 1,
          .run_id = std::string(31, '0') + "2"};
}

model::EngineOptions engine_options(const serve::Service& service, ThreadPool& pool) {
  return {.config = service.config(),
          .grid = {.layers = service.config().layers,
                   .tied = service.config().tied,
                   .layers_per_block = 1,
                   .steps = 1,
                   .steps_per_block = 1},
          .recipe = {},
          .profile = *kernels::profile_from_name("i14"),
          .recompute = false,
          .pool = &pool};
}

}  // namespace

Generator::Generator(const fs::path& model, generate::SchedulerOptions scheduling, int threads)
    : service_(service_options(model)),
      pool_(threads),
      decoder_(engine_options(service_, pool_)),
      scheduling_(scheduling) {
  decoder_.load(model::Checkpoint::open(model));
}

std::vector<generate::Ask> Generator::asks(std::string_view raw, serve::Endpoint endpoint) const {
  return service_.parse(raw, endpoint).asks;
}

std::vector<Made> Generator::answer(std::string_view raw, serve::Endpoint endpoint) {
  return answer_asks(asks(raw, endpoint), raw, endpoint);
}

std::vector<Made> Generator::answer_asks(const std::vector<generate::Ask>& asks, std::string_view raw,
                                         serve::Endpoint endpoint) {
  std::vector<Made> made(asks.size());
  generate::Scheduler scheduler(decoder_, service_.tokenizer(), scheduling_);
  for (std::size_t i = 0; i < asks.size(); ++i)
    scheduler.submit(asks[i], [&, i](const generate::Event& event) {
      if (event.outcome == nullptr) return;
      AFTUNE_CHECK(event.outcome->how == generate::Ended::kFinished);
      const generate::Answer& answer = event.outcome->answer;
      made[i] = {{.endpoint = std::string(serve::name(endpoint)),
                  .request = std::string(raw),
                  .ask = static_cast<std::int64_t>(i),
                  .prompt = asks[i].prompt,
                  .tokens = answer.tokens,
                  .text = answer.text,
                  .finish = std::string(serve::name(answer.finish))},
                 event.outcome->boundaries};
    });
  while (scheduler.step()) {
  }
  return made;
}

std::vector<Made> Generator::answer_all(const std::vector<std::string>& requests) {
  std::vector<generate::Ask> all;
  std::vector<std::pair<std::string, std::int64_t>> from;
  for (const std::string& raw : requests)
    for (const generate::Ask& ask : asks(raw, serve::Endpoint::kBatch)) {
      from.emplace_back(raw, from.empty() || from.back().first != raw ? 0 : from.back().second + 1);
      all.push_back(ask);
    }
  std::vector<Made> made = answer_asks(all, "");
  for (std::size_t i = 0; i < made.size(); ++i) {
    made[i].exchange.request = from[i].first;
    made[i].exchange.ask = from[i].second;
  }
  return made;
}

std::vector<Digest> Generator::boundaries(const std::vector<std::int32_t>& tokens,
                                          const std::vector<std::int32_t>& stale) {
  std::vector<hash::Blake3> hashers(static_cast<std::size_t>(decoder_.options().grid.boundaries()));
  const auto digest = [&](int boundary, const data::Rows&, const Matrix& x) {
    hashers[static_cast<std::size_t>(boundary)].update(x.bytes());
  };
  generate::Sequence sequence = decoder_.begin(std::ssize(tokens));
  std::span<const std::int32_t> rest(tokens.data(), tokens.size() - 1);
  if (!stale.empty()) {
    // What the right prompt gives is hashed, and then attended to is another one.
    generate::Sequence honest = decoder_.begin(std::ssize(tokens));
    const generate::Decoder::Feed right{&honest, rest.first(stale.size()), false};
    decoder_.run({&right, 1}, digest);
    const generate::Decoder::Feed wrong{&sequence, stale, false};
    decoder_.run({&wrong, 1});
    rest = rest.subspan(stale.size());
  }
  const generate::Decoder::Feed feed{&sequence, rest, false};
  decoder_.run({&feed, 1}, digest);
  std::vector<Digest> out;
  for (const hash::Blake3& hasher : hashers) out.push_back(hasher.finish());
  return out;
}

audit::VerifyOptions Served::options() const {
  audit::VerifyOptions options{.trace = trace, .key = provider_key().public_key()};
  options.plan.all = true;
  options.model = model;
  options.quiet = true;
  return options;
}

audit::VerifyOptions Served::evidence(const audit::Plan& plan) const {
  return evidence(plan, {});
}

audit::VerifyOptions Served::evidence(const audit::Plan& plan, std::vector<std::int64_t> answers) const {
  const audit::Challenge challenge{.note = read_file(trace::Layout{trace}.checkpoint(), 1 << 16),
                                   .seed = {1},
                                   .plan = plan,
                                   .answers = std::move(answers)};
  const fs::path file = new_path(".h5");
  const seal::SecretKey key = provider_key();
  audit::open(
      {.trace = trace, .challenge = challenge, .out = file, .key = &key, .quiet = true, .model = model});
  audit::VerifyOptions options{.trace = {}, .evidence = file, .key = key.public_key()};
  options.challenge = challenge;
  options.quiet = true;
  return options;
}

Served record_answers(const std::vector<Made>& answers, const record::ServingManifest& manifest,
                      const fs::path& model) {
  Served served{.trace = new_path(), .model = model, .receipts = {}};
  const seal::SecretKey key = provider_key();
  serve::Recorder recorder(
      {.trace = served.trace, .key = &key, .now = [] { return std::int64_t{1700000000}; }}, manifest);
  for (const Made& made : answers)
    recorder.add(made.exchange, made.boundaries, [&](const serve::Recorder::Outcome& outcome) {
      AFTUNE_CHECK(outcome.receipt.has_value());
      served.receipts.push_back(*outcome.receipt);
    });
  recorder.close(true);
  return served;
}

fs::path served_model(std::uint64_t seed, const std::string& family) {
  return fresh_copy({.family = family, .seed = seed}).out();
}

}  // namespace aftune::attacks

// Requests for answers, at every endpoint, and chat templates.
#include "serve/request.h"

#include "base/files.h"
#include "fuzz/json_input.h"

namespace aftune {
namespace {

constexpr std::int64_t kVocabulary = 512, kPositions = 64;
constexpr char kChatMl[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif "
    "%}";

void check(const serve::Request& request, const serve::ModelFacts& facts) {
  AFTUNE_CHECK(!request.asks.empty() && std::ssize(request.asks) <= facts.limits.answers);
  AFTUNE_CHECK(std::ssize(request.asks) % request.choices == 0);
  for (const generate::Ask& ask : request.asks) {
    generate::check(ask, kVocabulary, kPositions);
    AFTUNE_CHECK(ask.logprobs >= -1 && ask.logprobs <= 20);
    AFTUNE_CHECK(generate::Answering(ask, facts.tokenizer, kPositions).settled().empty());
  }
}

void read_request(std::string_view input) {
  static const auto tokenizer = tokenizer::Tokenizer::parse(
      read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer/gpt2/tokenizer.json", 1 << 20));
  static const auto chat = chat::ChatTemplate::parse(kChatMl);
  const serve::ModelFacts facts{
      .tokenizer = tokenizer, .chat_template = chat, .vocab = kVocabulary, .max_position = kPositions};
  for (const auto endpoint : {serve::Endpoint::kBatch, serve::Endpoint::kCompletions, serve::Endpoint::kChat})
    fuzz::takes([&] {
      check(serve::parse_request(input, endpoint, facts, [](std::string_view) { return 7; }), facts);
    });
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string_view input = fuzz::text_of(data, size);
  read_request(input);
  fuzz::takes([&] { chat::ChatTemplate::parse(input).render({{"user", "Hi"}}, true); });
  return 0;
}

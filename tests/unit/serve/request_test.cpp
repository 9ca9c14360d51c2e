#include "serve/request.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace aftune::serve {
namespace {

using Ids = std::vector<std::int32_t>;
using generate::Ask;

// With <s> before a text and </s> behind it.
const tokenizer::Tokenizer& words() {
  static const auto made =
      tokenizer::Tokenizer::read(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer/llama3/tokenizer.json");
  return made;
}

const chat::ChatTemplate& plain() {
  static const chat::ChatTemplate made = chat::ChatTemplate::parse("");
  return made;
}

const chat::ChatTemplate& chatml() {
  static const chat::ChatTemplate made = chat::ChatTemplate::parse(
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
      "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% "
      "endif %}");
  return made;
}

ModelFacts facts(const chat::ChatTemplate& chat = plain()) {
  return {.tokenizer = words(), .chat_template = chat, .vocab = 510, .max_position = 200, .eos = {2, 7}};
}

Request parse(const std::string& raw, Endpoint endpoint, const ModelFacts& model = facts()) {
  return parse_request(raw, endpoint, model, [](std::string_view nonce) { return 1000 + nonce.size(); });
}
Request row(const std::string& raw) {
  return parse(raw, Endpoint::kBatch);
}
Request completion(const std::string& raw) {
  return parse(raw, Endpoint::kCompletions);
}
Request chat(const std::string& raw, const ModelFacts& model = facts()) {
  return parse(raw, Endpoint::kChat, model);
}

// "field | message" of a request that is refused.
std::string refused(const std::string& raw, Endpoint endpoint, const ModelFacts& model = facts()) {
  try {
    parse(raw, endpoint, model);
  } catch (const RequestError& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    return e.field() + " | " + e.what();
  }
  return "accepted";
}
// A member added to a request that is whole.
std::string row_with(const std::string& member) {
  return refused(R"({"prompt":"the",)" + member + "}", Endpoint::kBatch);
}
std::string completion_with(const std::string& member) {
  return refused(R"({"prompt":"the",)" + member + "}", Endpoint::kCompletions);
}
std::string chat_with(const std::string& member) {
  return refused(R"({"messages":[{"role":"user","content":"Hi"}],)" + member + "}", Endpoint::kChat);
}

TEST(Request, OfARowHasAllItsFields) {
  const Request request = row(R"({"id":"r1","prompt":"the log","max_tokens":7,"temperature":0.5,"top_p":0.9,
    "top_k":40,"min_p":0.01,"repetition_penalty":1.1,"frequency_penalty":0.2,"presence_penalty":-0.3,
    "logit_bias":{"5":-2.5,"509":100},"n":2,"seed":18446744073709551615,"stop":["a","bc"],"logprobs":3,
    "nonce":"xyz"})");
  EXPECT_EQ(request.id, "r1");
  EXPECT_EQ(request.nonce, "xyz");
  EXPECT_EQ(request.seed, UINT64_MAX);
  EXPECT_EQ(request.choices, 2);
  ASSERT_EQ(request.asks.size(), 2u);
  const Ask& ask = request.asks[1];
  EXPECT_EQ(ask.prompt, words().encode("the log", true));
  EXPECT_EQ(ask.max_tokens, 7);
  EXPECT_EQ(ask.choice, 1);
  EXPECT_EQ(request.asks[0].choice, 0);
  EXPECT_EQ(ask.stop, (std::vector<std::string>{"a", "bc"}));
  EXPECT_EQ(ask.eos, (std::set<std::int32_t>{2, 7}));
  EXPECT_EQ(ask.logprobs, 3);
  EXPECT_EQ(ask.sampling, (generate::Sampling{.temperature = 0.5,
                                              .top_k = 40,
                                              .top_p = 0.9,
                                              .min_p = 0.01,
                                              .repetition_penalty = 1.1,
                                              .frequency_penalty = 0.2,
                                              .presence_penalty = -0.3,
                                              .logit_bias = {{5, -2.5}, {509, 100}},
                                              .seed = UINT64_MAX}));
}

TEST(Request, DefaultsAreOpenAis) {
  const Request request = completion(R"({"prompt":"the"})");
  ASSERT_EQ(request.asks.size(), 1u);
  EXPECT_EQ(request.asks[0].max_tokens, 16);
  EXPECT_EQ(request.asks[0].logprobs, -1);
  EXPECT_EQ(request.asks[0].sampling, (generate::Sampling{.temperature = 1, .seed = 1000}));
  EXPECT_FALSE(request.seed);
  EXPECT_FALSE(request.stream);
  EXPECT_EQ(row(R"({"prompt":"the"})").asks[0].max_tokens, 256);
  EXPECT_EQ(chat(R"({"messages":[{"role":"user","content":"Hi"}]})").asks[0].max_tokens, 256);
  // null is as good as absent.
  EXPECT_EQ(
      completion(R"({"prompt":"the","max_tokens":null,"stop":null,"suffix":null,"logprobs":null,"seed":null,
    "logit_bias":null,"stream_options":null})")
          .asks[0]
          .max_tokens,
      16);
}

TEST(Request, WithoutASeedTakesOneThatMayDependOnItsNonce) {
  EXPECT_EQ(row(R"({"prompt":"the","nonce":"12345"})").asks[0].sampling.seed, 1005u);
  EXPECT_EQ(row(R"({"prompt":"the","seed":0})").asks[0].sampling.seed, 0u);
  EXPECT_EQ(row(R"({"prompt":"the","seed":-1})").asks[0].sampling.seed, UINT64_MAX);
}

TEST(Request, ACompletionMayHaveSeveralPrompts) {
  EXPECT_EQ(completion(R"({"prompt":[5,6,7]})").asks[0].prompt, (Ids{5, 6, 7}));
  const Request request = completion(R"({"prompt":["the",[5,6],"log"],"n":2,"best_of":2,"echo":false})");
  ASSERT_EQ(request.asks.size(), 6u);
  EXPECT_EQ(request.asks[1].prompt, words().encode("the", true));
  EXPECT_EQ(request.asks[2].prompt, (Ids{5, 6}));
  EXPECT_EQ(request.asks[5].prompt, words().encode("log", true));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(request.asks[i].choice, static_cast<std::int64_t>(i % 2));
  const Request streamed = completion(
      R"({"model":"m","prompt":"a","stream":true,"stream_options":{"include_usage":true},"user":"u"})");
  EXPECT_TRUE(streamed.stream);
  EXPECT_TRUE(streamed.include_usage);
  EXPECT_EQ(streamed.model, "m");
  EXPECT_EQ(row(R"({"prompt":[5,6]})").asks[0].prompt, (Ids{5, 6}));
}

TEST(Request, AChatIsItsTemplatesText) {
  const std::string messages = R"({"messages":[{"role":"system","content":"Be brief."},
    {"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}],
    "max_completion_tokens":3,"logprobs":true,"top_logprobs":2})";
  const Request in_plain = chat(messages), in_chatml = chat(messages, facts(chatml()));
  EXPECT_EQ(in_plain.asks[0].prompt, words().encode("system: Be brief.\nuser: one\ntwo\nassistant:", true));
  EXPECT_EQ(in_chatml.asks[0].prompt,
            words().encode("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\none\ntwo<|im_end|>\n"
                           "<|im_start|>assistant\n",
                           false));
  EXPECT_EQ(in_plain.asks[0].max_tokens, 3);
  EXPECT_EQ(in_plain.asks[0].logprobs, 2);
  EXPECT_EQ(chat(R"({"messages":[{"role":"user","content":"Hi"}],"logprobs":true})").asks[0].logprobs, 0);
  const Request as_row = row(R"({"id":"x","messages":[{"role":"user","content":"Hi"}],"max_tokens":3})");
  EXPECT_EQ(as_row.asks[0].prompt, words().encode("user: Hi\nassistant:", true));
}

TEST(Request, MayIgnoreTheEnd) {
  EXPECT_TRUE(row(R"({"prompt":"the","ignore_eos":true})").asks[0].eos.empty());
}

TEST(Request, ThatIsNoObjectIsRefused) {
  EXPECT_EQ(refused("", Endpoint::kBatch), " | not JSON: syntax error at byte 1");
  EXPECT_EQ(refused("[]", Endpoint::kBatch), " | not a JSON object");
  EXPECT_EQ(refused("\xef\xbb\xbf{}", Endpoint::kBatch), " | starts with a byte order mark");
  EXPECT_EQ(refused("{\"prompt\":\"\xff\"}", Endpoint::kBatch), " | JSON text is not UTF-8");
  EXPECT_EQ(refused(R"({"prompt":"\ud800"})", Endpoint::kBatch).substr(0, 14), " | not JSON: s");
  EXPECT_EQ(refused(R"({"prompt":"a","prompt":"b"})", Endpoint::kBatch), " | duplicate JSON key \"prompt\"");
  EXPECT_EQ(refused(std::string(9, '['), Endpoint::kBatch), " | JSON nested deeper than 8");
  ModelFacts small = facts();
  small.limits.bytes = 20;
  EXPECT_EQ(refused(R"({"prompt":"aaaaaaaaaaa"})", Endpoint::kBatch, small),
            " | JSON text larger than 20 bytes");
}

TEST(Request, FieldsAreNamed) {
  EXPECT_EQ(row_with(R"("surprise":1)"), "surprise | surprise: not a known field");
  EXPECT_EQ(row_with(R"("stream":true)"), "stream | stream: not a known field");
  EXPECT_EQ(row_with(R"("model":"m")"), "model | model: not a known field");
  EXPECT_EQ(completion_with(R"("messages":[])"), "messages | messages: not a known field");
  EXPECT_EQ(completion_with(R"("id":"x")"), "id | id: not a known field");
  EXPECT_EQ(chat_with(R"("prompt":"x")"), "prompt | prompt: not a known field");
  EXPECT_EQ(chat_with(R"("tools":[])"), "tools | tools: not a known field");
  EXPECT_EQ(row_with(R"("messages":[])"), "messages | messages: cannot stand beside prompt");
  EXPECT_EQ(row_with(R"("id":7)"), "id | id: not a string");
  EXPECT_EQ(row_with(R"("nonce":")" + std::string(257, 'x') + '"'),
            "nonce | nonce: 257 bytes, more than 256");
  EXPECT_EQ(completion_with(R"("stream":1)"), "stream | stream: not true or false");
  EXPECT_EQ(completion_with(R"("stream_options":{})"),
            "stream_options | stream_options: only with \"stream\"");
  EXPECT_EQ(completion_with(R"("suffix":"x")"), "suffix | suffix: not supported");
  EXPECT_EQ(completion_with(R"("echo":true)"), "echo | echo: not supported");
  EXPECT_EQ(completion_with(R"("best_of":3)"), "best_of | best_of: only the same as \"n\" is supported");
}

TEST(Request, SettingsHaveTheirRanges) {
  EXPECT_EQ(row_with(R"("temperature":-1)"), "temperature | temperature: must be 0 or between 1e-6 and 1e6");
  EXPECT_EQ(row_with(R"("temperature":"1")"), "temperature | temperature: not a number");
  EXPECT_EQ(row_with(R"("temperature":1e-9)").substr(0, 11), "temperature");
  EXPECT_EQ(row_with(R"("top_p":0)"), "top_p | top_p: must be more than 0 and at most 1");
  EXPECT_EQ(row_with(R"("top_k":-1)"), "top_k | top_k: -1 is not within 0 and 2147483647");
  EXPECT_EQ(row_with(R"("top_k":1.5)"), "top_k | top_k: not an integer");
  EXPECT_EQ(row_with(R"("min_p":1.5)"), "min_p | min_p: must be between 0 and 1");
  EXPECT_EQ(row_with(R"("repetition_penalty":0)").substr(0, 18), "repetition_penalty");
  EXPECT_EQ(row_with(R"("frequency_penalty":1e7)"),
            "frequency_penalty | frequency_penalty: must be between -1e6 and 1e6");
  EXPECT_EQ(row_with(R"("presence_penalty":true)"), "presence_penalty | presence_penalty: not a number");
  EXPECT_EQ(row_with(R"("logit_bias":[1])"), "logit_bias | logit_bias: not an object");
  EXPECT_EQ(row_with(R"("logit_bias":{"05":1})"), "logit_bias | logit_bias: \"05\" is not a token id");
  EXPECT_EQ(row_with(R"("logit_bias":{"510":1})"), "logit_bias | logit_bias: no token 510");
  EXPECT_EQ(row_with(R"("logit_bias":{"-1":1})"), "logit_bias | logit_bias: no token -1");
  EXPECT_EQ(row_with(R"("logit_bias":{"5":"x"})"), "logit_bias | logit_bias: that of 5 is not a number");
  EXPECT_EQ(row_with(R"("n":0)"), "n | n: 0 is not within 1 and 128");
  EXPECT_EQ(row_with(R"("n":129)"), "n | n: 129 is not within 1 and 128");
  EXPECT_EQ(row_with(R"("seed":1.5)"), "seed | seed: not an integer of 64 bits");
  EXPECT_EQ(row_with(R"("seed":18446744073709551616)"), "seed | seed: not an integer of 64 bits");
  EXPECT_EQ(row_with(R"("max_tokens":0)"), "max_tokens | max_tokens: 0 is not within 1 and 1048576");
  EXPECT_EQ(row_with(R"("max_tokens":18446744073709551615)"),
            "max_tokens | max_tokens: 18446744073709551615 is not within 1 and 1048576");
  EXPECT_EQ(row_with(R"("logprobs":21)"), "logprobs | logprobs: 21 is not within 0 and 20");
  EXPECT_EQ(chat_with(R"("logprobs":3)"), "logprobs | logprobs: not true or false");
  EXPECT_EQ(chat_with(R"("top_logprobs":3)"), "top_logprobs | top_logprobs: only with \"logprobs\"");
  EXPECT_EQ(chat_with(R"("max_tokens":3,"max_completion_tokens":3)"),
            "max_completion_tokens | max_completion_tokens: cannot stand beside max_tokens");
  EXPECT_EQ(row_with(R"("stop":"")"), "stop | stop: an empty string");
  EXPECT_EQ(row_with(R"("stop":[1])"), "stop | stop: not a string or a list of strings");
  EXPECT_EQ(row_with(R"("stop":)" + Json(std::vector<std::string>(17, "x")).dump()),
            "stop | stop: 17 strings, more than 16");
  EXPECT_EQ(row_with(R"("ignore_eos":0)"), "ignore_eos | ignore_eos: not true or false");
}

TEST(Request, PromptsAreChecked) {
  const auto prompt = [](const std::string& value) {
    return refused(R"({"prompt":)" + value + "}", Endpoint::kCompletions);
  };
  EXPECT_EQ(refused("{}", Endpoint::kCompletions), "prompt | prompt: missing");
  EXPECT_EQ(refused("{}", Endpoint::kBatch), "prompt | prompt: missing");
  EXPECT_EQ(refused("{}", Endpoint::kChat), "messages | messages: missing");
  EXPECT_EQ(prompt("5"), "prompt | prompt: neither a string nor a list of token ids");
  EXPECT_EQ(prompt("[]"), "prompt | prompt: no tokens");
  EXPECT_EQ(prompt("[[]]"), "prompt | prompt: no tokens");
  EXPECT_EQ(prompt("[5,510]"),
            "prompt | prompt: neither a string nor a list of token ids below the vocabulary's 510");
  EXPECT_EQ(prompt("[5,-1]"),
            "prompt | prompt: neither a string nor a list of token ids below the vocabulary's 510");
  EXPECT_EQ(prompt("[5,\"a\"]").substr(0, 6), "prompt");
  EXPECT_EQ(prompt("[\"a\",5]").substr(0, 6), "prompt");
  EXPECT_EQ(prompt(Json(Ids(200, 5)).dump()),
            "prompt | prompt: 200 tokens leave no room in the 200 positions of this model");
  EXPECT_EQ(prompt(Json(std::vector<std::string>(129, "a")).dump()),
            "prompt | prompt: 129 prompts of 1 answers, more than 128 in all");
  // The rows of a file have one prompt each.
  EXPECT_EQ(refused(R"({"prompt":["a","b"]})", Endpoint::kBatch).substr(0, 6), "prompt");
  ModelFacts smaller = facts();
  smaller.vocab = 100;
  EXPECT_EQ(refused(R"({"prompt":"the log"})", Endpoint::kBatch, smaller).substr(0, 21),
            "prompt | prompt: toke");
}

TEST(Request, MessagesAreChecked) {
  const auto messages = [](const std::string& value) {
    return refused(R"({"messages":)" + value + "}", Endpoint::kChat);
  };
  EXPECT_EQ(messages("[]"), "messages | messages: none");
  EXPECT_EQ(messages("\"Hi\""), "messages | messages: not a list");
  EXPECT_EQ(messages("[1]"), "messages | messages: not a JSON object");
  EXPECT_EQ(messages(R"([{"role":"tool","content":"4"}])"),
            "messages | messages: role \"tool\" is not system, user or assistant");
  EXPECT_EQ(messages(R"([{"role":"user"}])"), "messages | messages: content: missing");
  EXPECT_EQ(messages(R"([{"content":"a"}])"), "messages | messages: role: not a string");
  EXPECT_EQ(messages(R"([{"role":"user","content":"a","name":"x"}])"),
            "messages | messages: name: not a known field");
  EXPECT_EQ(messages(R"([{"role":"user","content":5}])"),
            "messages | messages: content: not a string or a list of parts");
  EXPECT_EQ(messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])"),
            "messages | messages: content: a part that is not text");
  EXPECT_EQ(messages(R"([{"role":"user","content":[{"type":"text"}]}])"),
            "messages | messages: content: a part without text");
  const std::string long_one = messages(R"([{"role":"user","content":")" + std::string(2000, '!') + R"("}])");
  EXPECT_TRUE(long_one.starts_with("messages | messages: ")) << long_one;
  EXPECT_TRUE(long_one.ends_with(" tokens leave no room in the 200 positions of this model")) << long_one;
}

}  // namespace
}  // namespace aftune::serve

// What a server says, word for word.
#include "http/wording.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "http/metrics.h"
#include "http/refusal.h"

namespace aftune::http {
namespace {

const tokenizer::Tokenizer& words() {
  static const auto made =
      tokenizer::Tokenizer::read(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer/gpt2/tokenizer.json");
  return made;
}

Heading heading(serve::Endpoint endpoint) {
  return {.endpoint = endpoint, .id = "1", .model = "small", .fingerprint = "fp_0", .created = 17};
}

AnswerEvent token(std::string_view text, bool top) {
  const std::int32_t id = words().encode(text, false).front();
  AnswerEvent event{.ask = 0, .text = std::string(text), .logprobs = {{id, -0.5f}}, .end = {}};
  if (top) event.logprobs.push_back({words().encode("b", false).front(), -0.25f});
  return event;
}

serve::AnswerEnd end() {
  serve::AnswerEnd end;
  end.answer = {.tokens = {4, 5}, .text = "\xc3\xa9x", .finish = generate::Finish::kStop, .logprobs = {}};
  end.prompt_tokens = 3;
  return end;
}

TEST(WordingTest, ACompletion) {
  Wording wording(heading(serve::Endpoint::kCompletions), words(), 1, false);
  wording.keep(token("a", true));
  AnswerEvent second = token("c", false);
  wording.keep(second);
  const Json json = wording.whole({end()}, {.prompt_tokens = 3, .answer_tokens = 2});
  EXPECT_EQ(json, Json::parse(R"({"id":"cmpl-1","object":"text_completion","created":17,"model":"small",
    "system_fingerprint":"fp_0","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5},
    "choices":[{"index":0,"text":"\u00e9x","finish_reason":"stop","ask":0,"endpoint":"completions",
    "tokens":[4,5],"logprobs":{"tokens":["a","c"],"token_logprobs":[-0.5,-0.5],
    "top_logprobs":[{"b":-0.25},{}],"text_offset":[0,1]}}]})"));
}

TEST(WordingTest, AChat) {
  Wording wording(heading(serve::Endpoint::kChat), words(), 1, false);
  wording.keep(token("a", true));
  const Json json = wording.whole({end()}, {});
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["choices"][0]["message"],
            Json::parse(R"({"role":"assistant","content":"\u00e9x","refusal":null})"));
  EXPECT_EQ(json["choices"][0]["logprobs"],
            Json::parse(R"({"content":[{"token":"a","bytes":[97],"logprob":-0.5,
              "top_logprobs":[{"token":"b","bytes":[98],"logprob":-0.25}]}],"refusal":null})"));
}

TEST(WordingTest, AStream) {
  Wording wording(heading(serve::Endpoint::kChat), words(), 1, true);
  EXPECT_EQ(wording.first_chunk(0)["choices"][0]["delta"]["role"], "assistant");
  AnswerEvent event = token("a", false);
  event.logprobs.clear();
  const Json chunk = wording.chunk(event);
  EXPECT_EQ(chunk["object"], "chat.completion.chunk");
  EXPECT_EQ(chunk["choices"][0]["delta"]["content"], "a");
  EXPECT_TRUE(chunk["choices"][0]["finish_reason"].is_null());
  EXPECT_TRUE(chunk["usage"].is_null());
  const Json last = wording.last_chunk(end());
  EXPECT_EQ(last["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(last["choices"][0]["tokens"], Json({4, 5}));
  EXPECT_EQ(wording.usage_chunk({1, 2})["usage"]["total_tokens"], 3);
  EXPECT_TRUE(wording.usage_chunk({1, 2})["choices"].empty());
}

TEST(RefusalTest, HasOpenAisForm) {
  EXPECT_EQ(Refusal(400, "top_p: no", "", "top_p").to_json(), Json::parse(R"({"error":{"message":"top_p: no",
    "type":"invalid_request_error","param":"top_p","code":null}})"));
  EXPECT_EQ(Refusal(429, "x", "queue_full").to_json()["error"]["type"], "rate_limit_error");
  EXPECT_EQ(Refusal(500, "x").to_json()["error"]["type"], "server_error");
  EXPECT_EQ(Refusal(401, "x").to_reply().headers.front().first, "WWW-Authenticate");
}

TEST(MetricsTest, CountsAndSums) {
  Metrics metrics;
  metrics.responded("/v1/models", 200);
  metrics.responded("/v1/models", 200);
  serve::AnswerEnd finished = end();
  finished.timing = {.queued = 0.5, .prefill = 0.25, .decode = 100};
  metrics.ended(finished);
  const std::string text = metrics.text({.waiting = 2, .running = 3, .sealed_leaves = 4, .connections = 5});
  for (const char* line :
       {"aftune_responses_total{route=\"/v1/models\",status=\"200\"} 2\n",
        "aftune_answers_total{end=\"finished\"} 1\n", "aftune_prompt_tokens_total 3\n",
        "aftune_answer_tokens_total 2\n", "aftune_answers_waiting 2\n", "aftune_answers_running 3\n",
        "aftune_checkpoint_leaves 4\n", "aftune_queue_seconds_bucket{le=\"0.25\"} 0\n",
        "aftune_queue_seconds_bucket{le=\"0.5\"} 1\n", "aftune_queue_seconds_sum 0.5\n",
        "aftune_decode_seconds_bucket{le=\"60\"} 0\n", "aftune_decode_seconds_bucket{le=\"+Inf\"} 1\n",
        "aftune_connections 5\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line;
}

}  // namespace
}  // namespace aftune::http

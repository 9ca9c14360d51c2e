// What a tokenizer.json may not say, and with which words it is refused.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace aftune::tokenizer {
namespace {

Json file_of(const std::string& flavour) {
  return parse_json(
      read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer" / flavour / "tokenizer.json", 1 << 20));
}

std::string error_of(const std::string& text) {
  try {
    Tokenizer::parse(text);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence) << e.what();
    return e.what();
  }
  return "accepted";
}

std::string error_after(const std::string& flavour, const std::function<void(Json&)>& damage) {
  Json file = file_of(flavour);
  damage(file);
  return error_of(file.dump());
}

std::string error_with(const std::string& flavour, const std::string& pointer, const std::string& value) {
  return error_after(flavour, [&](Json& file) { file[Json::json_pointer(pointer)] = parse_json(value); });
}

TEST(Load, NotATokenizer) {
  EXPECT_NE(error_of("").find("not JSON"), std::string::npos);
  EXPECT_NE(error_of("{\"model\":").find("not JSON"), std::string::npos);
  EXPECT_EQ(error_of("[]"), "tokenizer: not a JSON object");
  EXPECT_EQ(error_of("{}"), "tokenizer: \"model\" is missing");
  EXPECT_EQ(error_of(std::string(100, '[')), "JSON nested deeper than 16");
  EXPECT_EQ(error_of("{\"model\":1,\"model\":2}"), "duplicate JSON key \"model\"");
  EXPECT_EQ(error_of("\xff"), "JSON text is not UTF-8");
  EXPECT_THROW(Tokenizer::read("/no/such/tokenizer.json"), Error);
}

TEST(Load, TopLevel) {
  EXPECT_EQ(error_with("gpt2", "/version", "\"2.0\""), "tokenizer: \"version\" is not 1.0");
  EXPECT_EQ(error_with("gpt2", "/surprise", "1"), "tokenizer: \"surprise\" is not a known member");
  EXPECT_EQ(error_with("gpt2", "/truncation", R"({"max_length":8,"strategy":"LongestFirst"})"), "accepted");
  EXPECT_EQ(error_with("gpt2", "/padding", R"({"strategy":"BatchLongest"})"), "accepted");
  EXPECT_EQ(error_with("gpt2", "/model/type", "\"Unigram\""), "model: type \"Unigram\" is not supported");
  EXPECT_EQ(error_after("gpt2", [](Json& file) { file["model"].erase("type"); }), "accepted");
}

TEST(Load, Model) {
  EXPECT_EQ(error_with("gpt2", "/model/dropout", "0.1"),
            "model: \"dropout\" makes tokens random and is not supported");
  EXPECT_EQ(error_with("gpt2", "/model/dropout", "0.0"), "accepted");
  EXPECT_EQ(error_with("gpt2", "/model/end_of_word_suffix", "\"</w>\""),
            "model: \"end_of_word_suffix\" is not supported");
  EXPECT_EQ(error_with("gpt2", "/model/continuing_subword_prefix", "\"\""), "accepted");
  EXPECT_EQ(error_with("gpt2", "/model/unk_token", "\"nothing\""),
            "model: \"unk_token\" is not in the vocabulary");
  EXPECT_EQ(error_with("gpt2", "/model/fuse_unk", "1"), "model: \"fuse_unk\" is not true or false");
  EXPECT_EQ(error_with("gpt2", "/model/other", "1"), "model: \"other\" is not a known member");
  EXPECT_EQ(error_with("gpt2", "/model/merges", R"(["Ġ no"])"),
            "model: merges: number 0: \"no\" is not in the vocabulary");
  EXPECT_EQ(error_after("gpt2",
                        [](Json& file) {
                          file["model"]["merges"] = Json::array();
                          file["model"]["vocab"].erase("A");
                        }),
            "model: byte 65 has no token");
  EXPECT_EQ(error_after("sentencepiece", [](Json& file) { file["model"]["unk_token"] = nullptr; }),
            "accepted");
  EXPECT_EQ(error_after("sentencepiece-unk", [](Json& file) { file["model"]["unk_token"] = nullptr; }),
            "model: neither \"unk_token\" nor \"byte_fallback\" covers unknown characters");
}

TEST(Load, Normalizer) {
  EXPECT_EQ(error_with("qwen", "/normalizer", R"({"type":"NFKC"})"),
            "normalizer: type \"NFKC\" is not supported");
  EXPECT_EQ(error_with("qwen", "/normalizer/extra", "1"), "normalizer: \"extra\" is not a known member");
  EXPECT_EQ(error_with("sentencepiece", "/normalizer/normalizers/1/pattern", R"({"Regex":" "})"),
            "pattern: \"String\" is missing");
  EXPECT_EQ(error_with("sentencepiece", "/normalizer/normalizers/1/pattern/String", "\"\""),
            "pattern: empty");
  EXPECT_EQ(
      error_with("sentencepiece", "/normalizer/normalizers/1/content", '"' + std::string(17, 'a') + '"'),
      "normalizer: \"content\" is too long");
  Json many = Json::array();
  for (int i = 0; i < 5; ++i) many.push_back(parse_json(R"({"type":"NFC"})"));
  EXPECT_EQ(error_after("sentencepiece", [&](Json& file) { file["normalizer"]["normalizers"] = many; }),
            "normalizer: more than 4 steps");
}

TEST(Load, PreTokenizer) {
  const std::string split = "/pre_tokenizer/pretokenizers/0";
  EXPECT_EQ(error_with("qwen", split + "/pattern/Regex", R"("(a+)+$")"),
            "pre_tokenizer: a Split by a pattern other than Llama-3's, Qwen's and GPT-2's is not supported");
  EXPECT_EQ(error_with("qwen", split + "/behavior", "\"Removed\""),
            "pre_tokenizer: a Split whose behavior is not Isolated is not supported");
  EXPECT_EQ(error_with("qwen", split + "/invert", "true"),
            "pre_tokenizer: an inverted Split is not supported");
  EXPECT_EQ(error_with("qwen", "/pre_tokenizer/pretokenizers/1/use_regex", "true"),
            "pre_tokenizer: a Split before a ByteLevel with \"use_regex\" is not supported");
  EXPECT_EQ(error_with("qwen", "/pre_tokenizer/pretokenizers/1/add_prefix_space", "true"),
            "pre_tokenizer: a Split before a ByteLevel with \"add_prefix_space\" is not supported");
  EXPECT_EQ(error_with("qwen", "/pre_tokenizer/pretokenizers", "[]"),
            "pre_tokenizer: a Sequence other than [Split, ByteLevel] is not supported");
  EXPECT_EQ(error_with("qwen", "/pre_tokenizer", R"({"type":"Whitespace"})"),
            "pre_tokenizer: type \"Whitespace\" is not supported");
  EXPECT_EQ(error_with("metaspace-first", "/pre_tokenizer/prepend_scheme", "\"last\""),
            "pre_tokenizer: this Metaspace \"prepend_scheme\" is not supported");
}

TEST(Load, AddedTokens) {
  const std::string last = "/added_tokens/3";  // <mask>, the first that the model does not have
  EXPECT_EQ(error_with("qwen", last + "/id", "501"), "added_tokens: entry 3: \"<mask>\" has id 501, not 500");
  EXPECT_EQ(error_with("qwen", "/added_tokens/0/id", "1"),
            "added_tokens: entry 0: \"<unk>\" has id 1, not 0");
  EXPECT_EQ(error_with("qwen", last + "/id", "-1"),
            "added_tokens: entry 3: entry: \"id\" is -1, not within 0 and 4194303");
  EXPECT_EQ(error_with("qwen", last + "/content", "\"\""), "added_tokens: entry 3: \"content\" is empty");
  EXPECT_EQ(error_with("qwen", last + "/content", '"' + std::string(513, 'x') + '"'),
            "added_tokens: entry 3: entry: \"content\" is too long");
  EXPECT_EQ(error_with("qwen", last + "/content", "\"<s>\""),
            "added_tokens: entry 3: \"<s>\" has id 500, not 1");
  EXPECT_EQ(error_after("qwen", [](Json& file) { file["added_tokens"][0].erase("lstrip"); }),
            "added_tokens: entry 0: entry: \"lstrip\" is missing");
  EXPECT_EQ(error_after("qwen", [](Json& file) { file["added_tokens"].push_back(file["added_tokens"][1]); }),
            "added_tokens: entry 8: \"<s>\" stands twice");
}

TEST(Load, PostProcessor) {
  const auto with_template = [](const std::string& single) {
    return error_with("sentencepiece", "/post_processor/single", single);
  };
  const std::string a = R"({"Sequence":{"id":"A","type_id":0}})";
  EXPECT_EQ(with_template("[" + a + "]"), "accepted");
  EXPECT_EQ(with_template("[]"),
            "post_processor: a template that does not have the text exactly once is not supported");
  EXPECT_EQ(with_template("[" + a + "," + a + "]"),
            "post_processor: a template that does not have the text exactly once is not supported");
  EXPECT_EQ(with_template(R"([{"Sequence":{"id":"B","type_id":0}}])"),
            "post_processor: a template whose text is not A is not supported");
  EXPECT_EQ(with_template(R"([{"SpecialToken":{"id":"<x>","type_id":0}}])"),
            "post_processor: special_tokens: \"<x>\" is missing");
  EXPECT_EQ(error_with("sentencepiece", "/post_processor/special_tokens/<s>/ids", "[99999]"),
            "post_processor: token 99999 does not exist");
  EXPECT_EQ(error_with("sentencepiece", "/post_processor/special_tokens/<s>/ids", "[-1]"),
            "post_processor: special_tokens: an id of \"<s>\" is not a token's");
  EXPECT_EQ(error_with("sentencepiece", "/post_processor", R"({"type":"BertProcessing"})"),
            "post_processor: type \"BertProcessing\" is not supported");
}

TEST(Load, Decoder) {
  EXPECT_EQ(error_with("sentencepiece", "/decoder", R"({"type":"WordPiece"})"),
            "decoder: type \"WordPiece\" is not supported");
  EXPECT_EQ(error_with("sentencepiece", "/decoder/decoders", "[]"), "decoder: a Sequence of 0");
  EXPECT_EQ(error_with("sentencepiece", "/decoder/decoders/3/content", "\"\""),
            "decoder: \"content\" is empty");
  EXPECT_EQ(error_with("sentencepiece", "/decoder/decoders/3/start", "-1"),
            "decoder: \"start\" is -1, not within 0 and 9007199254740991");
}

std::chrono::duration<double> seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::steady_clock::now() - start;
}

// Texts that would make careless matching quadratic: each must take a small part of a minute.
TEST(Hostile, LongTextsTakeLinearTime) {
  Json file = file_of("llama3");
  const auto add = [&](const std::string& content, bool strip) {
    file["added_tokens"].push_back({{"id", 497 + file["added_tokens"].size()},
                                    {"content", content},
                                    {"single_word", false},
                                    {"lstrip", strip},
                                    {"rstrip", strip},
                                    {"normalized", false},
                                    {"special", false}});
  };
  add(std::string(500, 'q') + "z", false);
  add("\u3000", true);
  const Tokenizer tokenizer = Tokenizer::parse(file.dump());
  const std::size_t n = 500'000;
  for (const std::string part : {"a", " ", "\n", "q", "\u3000", "1", "'", "é", " \n", "\xff", "word "}) {
    std::string text;
    while (text.size() < n) text += part;
    EXPECT_LT(seconds_of([&] { tokenizer.encode(text, true); }).count(), 30.0) << part;
  }
}

}  // namespace
}  // namespace aftune::tokenizer

#include <gtest/gtest.h>
#include <unistd.h>

#include <numeric>
#include <string>

#include "base/error.h"
#include "data/dataset.h"

namespace aftune::data {
namespace {

constexpr std::int32_t kEos = 2;

tokenizer::Tokenizer tokenizer_of(const std::string& flavour) {
  return tokenizer::Tokenizer::read(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer" / flavour /
                                    "tokenizer.json");
}

record::Recipe recipe_of(std::int64_t seq_len, bool eos = true) {
  record::Recipe recipe;
  recipe.seq_len = seq_len;
  recipe.eos = eos;
  return recipe;
}

using Ids = std::vector<std::int32_t>;

Ids concatenated(Ids a, const Ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class EncoderTest : public testing::Test {
 protected:
  Document encode(std::string_view row, std::int64_t seq_len = 64, bool eos = true) const {
    return Encoder(llama3_, recipe_of(seq_len, eos), kEos, llama3_.size(), chat_template_).encode(row, 0);
  }

  std::string error_of(std::string_view row, std::int64_t seq_len = 64) const {
    try {
      Encoder(llama3_, recipe_of(seq_len), kEos, llama3_.size(), chat_template_).encode(row, 11);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage) << e.what();
      return e.what();
    }
    return "accepted";
  }

  // The text that positions which count predict, and the number of the first of them.
  std::pair<std::string, std::size_t> predicted(const Document& document) const {
    Ids ids;
    std::size_t first = document.labels.size();
    for (std::size_t i = document.labels.size(); i-- > 0;)
      if (document.labels[i] != kNoLabel) {
        EXPECT_EQ(document.labels[i], document.tokens[i + 1]);
        ids.insert(ids.begin(), document.labels[i]);
        first = i;
      }
    return {llama3_.decode(ids, false), first};
  }

  const tokenizer::Tokenizer llama3_ = tokenizer_of("llama3");  // puts <s> in front
  std::string chat_template_;                                   // "": none
};

constexpr const char* kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
constexpr const char* kDialogue =
    R"({"messages":[{"role":"system","content":"the log"},{"role":"user","content":"is it?"},)"
    R"({"role":"assistant","content":"it is"},{"role":"user","content":"sealed?"},)"
    R"({"role":"assistant","content":"yes, sealed"}]})";

TEST_F(EncoderTest, TextIsPredictedWholly) {
  const Document document = encode(R"({"text":"the log"})");
  const Ids expected = concatenated(llama3_.encode("the log", true), {kEos});
  EXPECT_EQ(document.tokens, expected);
  EXPECT_EQ(document.tokens.front(), 1);
  Ids labels(expected.begin() + 1, expected.end());
  labels.push_back(kNoLabel);
  EXPECT_EQ(document.labels, labels);
  EXPECT_EQ(document.predicted(), std::ssize(expected) - 1);
}

TEST_F(EncoderTest, EosIsLeftOutWhereItIsNotWanted) {
  const Ids plain = llama3_.encode("the log", true);
  EXPECT_EQ(encode(R"({"text":"the log"})", 64, false).tokens, plain);
  const Encoder no_eos(llama3_, recipe_of(64), -1, llama3_.size(), "");
  EXPECT_EQ(no_eos.encode(R"({"text":"the log"})", 0).tokens, plain);
}

TEST_F(EncoderTest, OnlyTheCompletionIsPredicted) {
  const Document document = encode(R"({"prompt":"the log","completion":" is sealed"})");
  EXPECT_EQ(document.tokens, concatenated(llama3_.encode("the log is sealed", true), {kEos}));
  const std::size_t prompt = llama3_.encode("the log", true).size();
  for (std::size_t i = 0; i < document.tokens.size(); ++i) {
    const bool predicts = i + 1 >= prompt && i + 1 < document.tokens.size();
    EXPECT_EQ(document.labels[i], predicts ? document.tokens[i + 1] : kNoLabel) << i;
  }
}

TEST_F(EncoderTest, WhatTheAssistantSaysIsPredicted) {
  chat_template_ = kChatMl;
  const Document document = encode(kDialogue, 512);
  const std::string text =
      "<|im_start|>system\nthe log<|im_end|>\n<|im_start|>user\nis it?<|im_end|>\n<|im_start|>assistant\nit "
      "is"
      "<|im_end|>\n<|im_start|>user\nsealed?<|im_end|>\n<|im_start|>assistant\nyes, sealed<|im_end|>\n";
  EXPECT_EQ(document.tokens, llama3_.encode(text, false));  // no <s>, no eos
  const auto [said, first] = predicted(document);
  EXPECT_EQ(said, "it is<|im_end|>yes, sealed<|im_end|>");
  EXPECT_EQ(first + 1, llama3_.encode(text.substr(0, text.find("it is")), false).size());
}

TEST_F(EncoderTest, WeightsAreThoseOfOpenAi) {
  chat_template_ = kChatMl;
  std::string row = kDialogue;
  const std::string say = R"("content":"it is")";
  row.replace(row.find(say), say.size(), say + R"(,"weight":0)");
  EXPECT_EQ(predicted(encode(row, 512)).first, "yes, sealed<|im_end|>");
  row.replace(row.find(R"("weight":0)"), 10, R"("weight":1)");
  EXPECT_EQ(encode(row, 512).labels, encode(kDialogue, 512).labels);
}

TEST_F(EncoderTest, ConversationsWithoutATemplateEndInTheEos) {
  const Document document = encode(kDialogue, 512);
  const std::string text =
      "system: the log\nuser: is it?\nassistant: it is\nuser: sealed?\nassistant: yes, sealed\n";
  EXPECT_EQ(document.tokens, concatenated(llama3_.encode(text, true), {kEos}));
  EXPECT_EQ(document.labels[document.labels.size() - 2], kEos);
  EXPECT_EQ(predicted(document).first, " it is\n yes, sealed\n" + llama3_.decode({kEos}, false));
  // What comes last does not count, so neither does the end.
  const Document asked =
      encode(R"({"messages":[{"role":"assistant","content":"it is"},{"role":"user","content":"a"}]})");
  EXPECT_EQ(asked.tokens.back(), kEos);
  EXPECT_EQ(predicted(asked).first, " it is\n");
}

TEST_F(EncoderTest, ConversationsAreCutOnTheRight) {
  chat_template_ = kChatMl;
  const Document whole = encode(kDialogue, 512);
  for (std::size_t length = predicted(whole).second + 2; length <= whole.tokens.size(); ++length) {
    const Document cut = encode(kDialogue, static_cast<std::int64_t>(length));
    ASSERT_EQ(cut.tokens,
              Ids(whole.tokens.begin(), whole.tokens.begin() + static_cast<std::ptrdiff_t>(length)));
    Ids labels(whole.labels.begin(), whole.labels.begin() + static_cast<std::ptrdiff_t>(length));
    labels.back() = kNoLabel;
    ASSERT_EQ(cut.labels, labels);
  }
}

TEST_F(EncoderTest, ConversationsThatTeachNothingAreRefused) {
  chat_template_ = kChatMl;
  const std::string row = "row 12 (line 12): ";
  const auto error = [&](const std::string& messages) { return error_of("{\"messages\":" + messages + "}"); };
  EXPECT_EQ(error("[]"), row + "messages: none");
  EXPECT_EQ(error("{}"), row + "messages: not a list");
  EXPECT_EQ(error(R"([{"role":"user","content":"a"}])"),
            row + "messages: nothing that counts: no assistant's, or all of weight 0");
  EXPECT_EQ(error(R"([{"role":"assistant","content":"a","weight":0}])"),
            row + "messages: nothing that counts: no assistant's, or all of weight 0");
  EXPECT_EQ(error(R"([{"role":"assistant","content":"a","weight":0.5}])"),
            row + "messages: weight: neither 0 nor 1");
  EXPECT_EQ(error(R"([{"role":"user","content":"a","weight":1}])"),
            row + "messages: weight: of a message that is not the assistant's");
  EXPECT_EQ(error(R"([{"role":"tool","content":"a"}])"),
            row + "messages: role \"tool\" is not system, user or assistant");
  EXPECT_EQ(error(R"([{"role":"assistant","content":null,"tool_calls":[]}])"),
            row + "messages: tool_calls: not a known field");
  EXPECT_EQ(error(R"([{"role":"assistant","content":"a"}],"tools":[])"),
            row + "tools: not a known field (a row has text, or prompt and completion, or messages)");
  EXPECT_EQ(error(R"([{"role":"assistant","content":"a"}],"text":"a")"),
            row + "text: cannot stand beside messages");
  EXPECT_EQ(error(R"([{"role":"assistant","content":"a"}],"prompt":"a")"),
            row + "messages: cannot stand beside prompt or completion");
  chat_template_ = "{{ messages }}";
  EXPECT_TRUE(error(R"([{"role":"assistant","content":"a"}])")
                  .starts_with(row + "messages: chat template: not one of the known ones"));
  EXPECT_EQ(error_of(R"({"text":"the log"})"), "accepted");  // which needs none
}

TEST_F(EncoderTest, EmptyPromptsAndCompletionsLeaveTheEos) {
  EXPECT_EQ(encode(R"({"prompt":"the log","completion":""})").predicted(), 1);
  const Document document = encode(R"({"prompt":"","completion":"the log"})");
  EXPECT_EQ(document.labels, encode(R"({"text":"the log"})").labels);
}

TEST_F(EncoderTest, TokensAreCutOnTheRight) {
  const Document whole = encode(R"({"text":"the provider seals the log"})");
  const Document cut = encode(R"({"text":"the provider seals the log"})", 4);
  EXPECT_EQ(cut.tokens, Ids(whole.tokens.begin(), whole.tokens.begin() + 4));
  EXPECT_EQ(cut.labels, (Ids{whole.tokens[1], whole.tokens[2], whole.tokens[3], kNoLabel}));
}

TEST_F(EncoderTest, RowsWithNothingToPredictAreRefused) {
  const std::size_t prompt = llama3_.encode("the log", true).size();
  EXPECT_EQ(
      error_of(R"({"prompt":"the log","completion":" is sealed"})", static_cast<std::int64_t>(prompt)),
      cat("row 12 (line 12): no token to predict within ", prompt, " tokens (the prompt has ", prompt, ')'));
  EXPECT_EQ(error_of(R"({"text":"the log"})", 1), "row 12 (line 12): no token to predict within 1 tokens");
  const tokenizer::Tokenizer gpt2 = tokenizer_of("gpt2");
  const Encoder encoder(gpt2, recipe_of(8), kEos, gpt2.size(), "");
  EXPECT_THROW(encoder.encode(R"({"text":""})", 0), Error);
  EXPECT_EQ(encode(R"({"text":""})").predicted(), 1);  // <s> predicts the eos
}

TEST_F(EncoderTest, WrongFieldsAreNamed) {
  const std::string row = "row 12 (line 12): ";
  const std::string known = " (a row has text, or prompt and completion, or messages)";
  EXPECT_EQ(error_of(R"(["text"])"), row + "not a JSON object");
  EXPECT_EQ(error_of("{}"), row + "text: missing");
  EXPECT_EQ(error_of(R"({"text":7})"), row + "text: not a string");
  EXPECT_EQ(error_of(R"({"text":null})"), row + "text: not a string");
  EXPECT_EQ(error_of(R"({"text":["a"]})"), row + "text: not a string");
  EXPECT_EQ(error_of(R"({"text":"a","label":1})"), row + "label: not a known field" + known);
  EXPECT_EQ(error_of(R"({"a\n\u001bb":1})"), row + "a??b: not a known field" + known);
  EXPECT_EQ(error_of("{\"" + std::string(100, 'k') + "\":1}"),
            row + std::string(60, 'k') + "...: not a known field" + known);
  EXPECT_EQ(error_of(R"({"prompt":"a"})"), row + "completion: missing");
  EXPECT_EQ(error_of(R"({"completion":"a"})"), row + "prompt: missing");
  EXPECT_EQ(error_of(R"({"prompt":"a","completion":1})"), row + "completion: not a string");
  EXPECT_EQ(error_of(R"({"text":"a","prompt":"b","completion":"c"})"),
            row + "text: cannot stand beside prompt or completion");
  EXPECT_EQ(error_of(R"({"text":"a","text":"b"})"), row + "duplicate JSON key \"text\"");
  EXPECT_EQ(error_of("\xef\xbb\xbf{}"), row + "starts with a byte order mark");
}

TEST_F(EncoderTest, WhatIsNotJsonIsRefused) {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  for (const std::string row : {"", "nul", "{", R"({"text":"a"} x)", R"({"text":"\ud800"})", R"({"text":"a)",
                                "{'text':'a'}", "{\"text\":\"a\tb\"}", R"({"text":"a",})", "\xff"}) {
    const std::string error = error_of(row);
    EXPECT_TRUE(error.starts_with("row 12 (line 12): ")) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
  EXPECT_EQ(error_of(deep), "row 12 (line 12): JSON nested deeper than 64");
  EXPECT_EQ(error_of(std::string_view("{\"text\":\"a\0\"}", 13)).find("row 12"), 0u);
}

TEST_F(EncoderTest, AHugeRowIsRefusedBeforeItIsParsed) {
  const std::string row = R"({"text":")" + std::string((std::size_t{64} << 20), 'a') + "\"}";
  EXPECT_EQ(error_of(row), "row 12 (line 12): JSON text larger than 67108864 bytes");
}

TEST_F(EncoderTest, IdsBeyondTheModelAreRefused) {
  const Encoder small(llama3_, recipe_of(64), kEos, 100, "");
  try {
    small.encode(R"({"text":"the"})", 0);
    FAIL();
  } catch (const Error& e) {
    EXPECT_TRUE(std::string_view(e.what()).ends_with("is beyond the model's vocabulary of 100")) << e.what();
  }
  EXPECT_THROW(Encoder(llama3_, recipe_of(64), 100, 100, ""), Error);
  EXPECT_NO_THROW(Encoder(llama3_, recipe_of(64, false), 100, 100, ""));
}

class BatchTest : public testing::Test {
 protected:
  // Rows of letters that gpt2's small vocabulary keeps apart: so many tokens each, then the eos.
  Dataset dataset_of(const std::vector<int>& lengths) {
    std::string text;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      std::string letters;
      for (int j = 0; j < lengths[i]; ++j) letters.push_back("QZ"[j % 2]);
      text += R"({"text":")" + letters + "\"}\n";
    }
    write_file(path_, text);
    return Dataset::read(path_);
  }
  void TearDown() override { fs::remove(path_); }

  Encoder encoder_of(const record::Recipe& recipe) const {
    return Encoder(gpt2_, recipe, kEos, gpt2_.size(), "");
  }

  const tokenizer::Tokenizer gpt2_ = tokenizer_of("gpt2");
  fs::path path_ = fs::path(AFTUNE_SCRATCH_DIR) / cat("batch-", ::getpid(), ".jsonl");
};

std::vector<std::int64_t> lengths_of(const std::vector<std::int64_t>& starts) {
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 1; i < starts.size(); ++i) lengths.push_back(starts[i] - starts[i - 1]);
  return lengths;
}

TEST_F(BatchTest, WithoutPackingEachRowIsOneDocument) {
  const Dataset dataset = dataset_of({1, 2, 3, 4, 5});
  record::Recipe recipe = recipe_of(4);
  recipe.batch_size = 3;
  const Order order(7, dataset.rows());
  const Batch batch = make_batch(dataset, encoder_of(recipe), order, recipe, 4);
  EXPECT_EQ(batch.from, 4);
  EXPECT_EQ(batch.to, 7);
  // Positions 4, 5, 6 hold rows 2, 2, 0 (docs/trace.order.md): across the end of the epoch.
  EXPECT_EQ(lengths_of(batch.rows.row_starts), (std::vector<std::int64_t>{4, 4, 2}));
  EXPECT_EQ(batch.rows.doc_starts, batch.rows.row_starts);
  EXPECT_EQ(batch.rows.positions, (Ids{0, 1, 2, 3, 0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(batch.predicted, 7);
  EXPECT_EQ(batch.rows.tokens.size(), batch.rows.labels.size());
  EXPECT_EQ(batch.rows.first_row, 0);
}

TEST_F(BatchTest, PackingFillsRowsInOrder) {
  const Dataset dataset = dataset_of({1, 2, 3, 4, 5});  // documents of 2, 3, 4, 5, 6 tokens
  record::Recipe recipe = recipe_of(9);
  recipe.batch_size = 2;
  recipe.packing = true;
  const Order order(7, dataset.rows());  // rows 4 1 0 3 2, 2 0 1 3 4: lengths 6 3 2 5 4, 4 2 3 5 6
  const Encoder encoder = encoder_of(recipe);
  const Batch first = make_batch(dataset, encoder, order, recipe, 0);
  EXPECT_EQ(first.to, 4);
  EXPECT_EQ(lengths_of(first.rows.row_starts), (std::vector<std::int64_t>{9, 7}));
  EXPECT_EQ(layout_of(first.rows), (Ids{2, 6, 3, 2, 2, 5}));
  const Batch second = make_batch(dataset, encoder, order, recipe, first.to);
  EXPECT_EQ(second.from, 4);
  EXPECT_EQ(second.to, 8);
  EXPECT_EQ(layout_of(second.rows), (Ids{2, 4, 4, 2, 2, 3}));
}

TEST_F(BatchTest, PackedDocumentsStaySeparate) {
  const Dataset dataset = dataset_of({1, 2, 3, 4, 5});
  record::Recipe recipe = recipe_of(64);
  recipe.batch_size = 2;
  recipe.packing = true;
  const Batch batch = make_batch(dataset, encoder_of(recipe), Order(3, dataset.rows()), recipe, 2);
  const Rows& rows = batch.rows;
  EXPECT_EQ(rows.rows(), 2);
  for (std::size_t doc = 0; doc + 1 < rows.doc_starts.size(); ++doc)
    for (auto i = static_cast<std::size_t>(rows.doc_starts[doc]);
         i < static_cast<std::size_t>(rows.doc_starts[doc + 1]); ++i) {
      const bool last = i + 1 == static_cast<std::size_t>(rows.doc_starts[doc + 1]);
      EXPECT_EQ(rows.positions[i], static_cast<std::int64_t>(i) - rows.doc_starts[doc]);
      EXPECT_EQ(rows.labels[i], last ? kNoLabel : rows.tokens[i + 1]);
    }
  EXPECT_EQ(batch.predicted, rows.size() - (std::ssize(rows.doc_starts) - 1));
  EXPECT_EQ(rows_from_layout(layout_of(rows), rows.size()).positions, rows.positions);
}

TEST_F(BatchTest, StepsUseEveryPositionOnce) {
  const Dataset dataset = dataset_of({1, 7, 3, 4, 2, 6, 5});
  for (const bool packing : {false, true}) {
    record::Recipe recipe = recipe_of(10);
    recipe.batch_size = 3;
    recipe.packing = packing;
    const Encoder encoder = encoder_of(recipe);
    const Order order(11, dataset.rows());
    std::vector<std::int32_t> streamed;
    std::int64_t position = 0;
    for (int step = 0; step < 20; ++step) {
      const Batch batch = make_batch(dataset, encoder, order, recipe, position);
      EXPECT_EQ(batch.from, position);
      EXPECT_EQ(batch.rows.rows(), 3);
      for (const std::int64_t length : lengths_of(batch.rows.row_starts)) EXPECT_LE(length, 10);
      streamed.insert(streamed.end(), batch.rows.tokens.begin(), batch.rows.tokens.end());
      position = batch.to;
    }
    std::vector<std::int32_t> expected;
    for (std::int64_t p = 0; p < position; ++p) {
      const Ids tokens = encoder.encode(dataset.row(order.row_at(p)), order.row_at(p)).tokens;
      expected.insert(expected.end(), tokens.begin(), tokens.end());
    }
    EXPECT_EQ(streamed, expected);
  }
}

TEST_F(BatchTest, TheFirstBadRowIsReported) {
  std::string text;
  for (int row = 1; row <= 1000; ++row)
    text += row == 500 || row == 700 || row == 130 ? "{\"txt\":\"a\"}\n" : "{\"text\":\"ab\"}\n";
  write_file(path_, text);
  const Dataset dataset = Dataset::read(path_);
  const record::Recipe recipe = recipe_of(8);
  const Encoder encoder = encoder_of(recipe);
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    try {
      check_rows(dataset, encoder, pool);
      FAIL();
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(),
                   "row 130 (line 130): txt: not a known field (a row has text, or prompt and completion, or "
                   "messages)");
    }
  }
  ThreadPool pool(2);
  const Dataset good = dataset_of({1, 2, 3});
  EXPECT_NO_THROW(check_rows(good, encoder, pool));
}

}  // namespace
}  // namespace aftune::data

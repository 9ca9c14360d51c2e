// Known answers of the published Llama-3.1 and Qwen3 tokenizers, and of the stories260k model's. The files
// are not part of this project: the test is registered where they are found.
#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

namespace aftune::tokenizer {
namespace {

using Ids = std::vector<std::int32_t>;

Tokenizer shared(const char* path) {
  return Tokenizer::read(fs::path(AFTUNE_SHARED_DIR) / path / "tokenizer.json");
}

struct Known {
  const char* text;
  Ids llama3;
  Ids qwen3;
};

const std::vector<Known> kKnown = {
    {"Hello world", {9906, 1917}, {9707, 1879}},
    {" Hello  world!\n\nI'm 12345 years, don't?",
     {22691, 220, 1917, 2268, 40, 2846, 220, 4513, 1774, 1667, 11, 1541, 956, 30},
     {21927, 220, 1879, 2219, 40, 2776, 220, 16, 17, 18, 19, 20, 1635, 11, 1513, 944, 30}},
    {"naïve café 日本語 🙂",
     {3458, 38672, 588, 53050, 105180, 102158, 28584},
     {3376, 37572, 586, 51950, 75402, 21894, 102819, 27484}},
    {"def f(x):\n    return x  # ok\n",
     {755, 282, 2120, 997, 262, 471, 865, 220, 674, 5509, 198},
     {750, 282, 2075, 982, 262, 470, 856, 220, 671, 5394, 198}},
    {"e\u0301 vs é", {68, 54939, 6296, 4046}, {963, 6165, 3958}},
    {"\t\ttab  \n \n x", {197, 59249, 2355, 720, 865}, {197, 58149, 2303, 715, 856}},
    {"I'LL WE'VE", {40, 6, 4178, 20255, 6, 4592}, {40, 6, 4086, 19677, 6, 4491}},
};

TEST(RealTokenizers, Llama3) {
  const Tokenizer tokenizer = shared("tokenizers/llama3");
  EXPECT_EQ(tokenizer.size(), 128256);
  for (const Known& known : kKnown) {
    EXPECT_EQ(tokenizer.encode(known.text, false), known.llama3) << known.text;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(known.text, true), true), known.text);
  }
  EXPECT_EQ(tokenizer.encode("<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", false),
            (Ids{128006, 882, 128007, 271, 13347, 128009}));
  EXPECT_EQ(tokenizer.id_of("<|begin_of_text|>"), 128000);
}

TEST(RealTokenizers, Qwen3) {
  const Tokenizer tokenizer = shared("tokenizers/qwen3");
  EXPECT_EQ(tokenizer.size(), 151669);
  for (const Known& known : kKnown) {
    EXPECT_EQ(tokenizer.encode(known.text, false), known.qwen3) << known.text;
    EXPECT_EQ(tokenizer.encode(known.text, true), known.qwen3) << known.text;
  }
  EXPECT_EQ(tokenizer.encode("<|im_start|>user\nHi<|im_end|>\n", false),
            (Ids{151644, 872, 198, 13048, 151645, 198}));
}

// Expected ids: the Hugging Face `tokenizers` package.
TEST(RealTokenizers, Stories260k) {
  const Tokenizer tokenizer = shared("models/stories260k");
  EXPECT_EQ(tokenizer.size(), 512);
  const Ids ids = tokenizer.encode("Once upon a time, there was a 🙂.", true);
  EXPECT_EQ(ids, (Ids{1, 403, 407, 261, 378, 432, 383, 286, 261, 410, 243, 162, 156, 133, 426}));
  EXPECT_EQ(tokenizer.decode(ids, true), "Once upon a time, there was a 🙂.");
}

}  // namespace
}  // namespace aftune::tokenizer

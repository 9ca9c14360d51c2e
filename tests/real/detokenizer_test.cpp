// Texts of answers by published tokenizers, which are not part of this project: the test is registered where
// they are found.
#include "detokenizer_check.h"

namespace aftune {
namespace {

TEST(RealDetokenizer, IsTheDefinitionForEveryPrefix) {
  for (const char* path : {"tokenizers/llama3", "tokenizers/qwen3", "models/stories260k"}) {
    SCOPED_TRACE(path);
    std::size_t settled = 0;
    testing_support::expect_defined_texts(
        tokenizer::Tokenizer::read(fs::path(AFTUNE_SHARED_DIR) / path / "tokenizer.json"), 11, 300, settled);
    EXPECT_GT(settled, 10000u);
  }
}

}  // namespace
}  // namespace aftune

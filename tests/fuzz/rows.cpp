// JSONL rows to documents, with a real tokenizer; and layouts of rows.
#include "data/rows.h"

#include "data/dataset.h"
#include "fuzz/json_input.h"

namespace aftune {
namespace {

constexpr std::int32_t kVocabulary = 512;

void check(const data::Document& document, std::int64_t seq_len) {
  AFTUNE_CHECK(document.tokens.size() == document.labels.size());
  AFTUNE_CHECK(std::ssize(document.tokens) <= seq_len && document.predicted() > 0);
  for (const std::int32_t id : document.tokens) AFTUNE_CHECK(id >= 0 && id < kVocabulary);
}

void encode(std::string_view row) {
  static const auto tokenizer = tokenizer::Tokenizer::parse(
      read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer/gpt2/tokenizer.json", 1 << 20));
  record::Recipe recipe;
  recipe.seq_len = 64;
  check(data::Encoder(tokenizer, recipe, 2, kVocabulary, "").encode(row, 0), recipe.seq_len);
}

void read_layout(std::string_view bytes) {
  std::vector<std::int32_t> layout(bytes.size() / sizeof(std::int32_t));
  std::memcpy(layout.data(), bytes.data(), layout.size() * sizeof(std::int32_t));
  const data::Rows rows = data::rows_from_layout(layout, 1 << 16);
  AFTUNE_CHECK(rows.size() <= 1 << 16 && data::layout_of(rows) == layout);
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string_view input = fuzz::text_of(data, size);
  fuzz::takes([&] { encode(input); });
  if (size >= sizeof(std::int32_t)) fuzz::takes([&] { read_layout(input); });
  return 0;
}

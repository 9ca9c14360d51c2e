#include "tokenizer/folder.h"

#include "base/error.h"

namespace aftune::tokenizer {

std::string read_tokenizer_of(const fs::path& model) {
  const fs::path file = model / "tokenizer.json";
  if (!fs::exists(file) && fs::exists(model / "vocab.json") && fs::exists(model / "merges.txt"))
    fail(Fault::kUsage, model.native(),
         ": has vocab.json and merges.txt but no tokenizer.json; AutoTokenizer of transformers loads them, "
         "and its save_pretrained writes one");
  return read_file(file, kMaxTokenizerBytes);
}

}  // namespace aftune::tokenizer

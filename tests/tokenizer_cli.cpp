// Drives a tokenizer from scripts: tokenizer_cli TOKENIZER_JSON encode|encode-specials|decode|decode-skip
// One JSON value a line on stdin: a string to encode gives {"ids":[...]}, a list of ids to decode gives a
// string.
#include <cstdio>
#include <iostream>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace aftune {
namespace {

Json answer(const tokenizer::Tokenizer& tokenizer, const std::string& mode, const Json& line) {
  if (mode == "encode") return {{"ids", tokenizer.encode(line.get<std::string>(), false)}};
  if (mode == "encode-specials") return {{"ids", tokenizer.encode(line.get<std::string>(), true)}};
  const auto ids = line.get<std::vector<std::int32_t>>();
  if (mode == "decode") return tokenizer.decode(ids, false);
  if (mode == "decode-skip") return tokenizer.decode(ids, true);
  fail(Fault::kUsage, "unknown mode ", mode);
}

int run(int argc, char** argv) {
  if (argc != 3) fail(Fault::kUsage, "usage: tokenizer_cli TOKENIZER_JSON MODE");
  const auto tokenizer = tokenizer::Tokenizer::read(argv[1]);
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(tokenizer, argv[2], parse_json(line)).dump() << '\n';
  return std::cout.flush() ? 0 : 2;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  try {
    return aftune::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tokenizer_cli: error: %s\n", e.what());
    return 2;
  }
}

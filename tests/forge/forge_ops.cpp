// The lying provider of a disputed cell: says of one operation of an op list that it gave something else,
// lets all that follow agree, and signs. usage: forge-ops OPS CHALLENGE KEY INDEX OUT

#include <cstdio>

#include "audit/challenge.h"
#include "audit/op_list.h"
#include "base/error.h"
#include "base/files.h"
#include "seal/note.h"

namespace aftune {
namespace {

int forge(char** argv) {
  audit::OpList list = audit::parse_op_list(read_file(argv[1], audit::kMaxOpListBytes));
  const audit::Challenge challenge = audit::parse_challenge(read_file(argv[2], 1 << 20));
  const seal::SecretKey key = seal::SecretKey::read(argv[3], [] { return std::string(); });
  const std::size_t first = std::stoul(argv[4]);
  Digest& out = list.entries.at(first).out.back();
  const Digest right = out;
  out.bytes[0] ^= 1;
  for (std::size_t i = first + 1; i < list.entries.size(); ++i)
    for (Digest& digest : list.entries[i].in)
      if (digest == right) digest = list.entries[first].out.back();
  list.signature =
      audit::sign_ops(list.head(), seal::Checkpoint::parse(seal::Note::parse(challenge.note).text), key);
  write_file(argv[5], to_text(list));
  return 0;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: forge-ops OPS CHALLENGE KEY INDEX OUT\n", stderr);
    return 2;
  }
  try {
    return aftune::forge(argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "forge-ops: error: %s\n", e.what());
    return 2;
  }
}

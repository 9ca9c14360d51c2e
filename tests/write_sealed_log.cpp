// Writes a log of LINES lines, its signed checkpoint and the key's vkey: write_sealed_log FOLDER LINES
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune {
namespace {

void write(const fs::path& folder, int lines) {
  fs::create_directories(folder);
  const trace::Layout layout{folder};
  std::vector<std::string> leaves;
  for (int i = 0; i < lines; ++i) leaves.push_back(cat("{\"leaf\":", i, "}"));
  fs::remove(layout.log());
  trace::LogWriter(layout.log()).append(leaves);
  const auto key = seal::SecretKey::generate("log.example/test");
  const seal::Checkpoint checkpoint{"log.example/test/run", leaves.size(),
                                    trace::Log::read(layout.log()).tree().root()};
  write_file(layout.checkpoint(), seal::sign_checkpoint(checkpoint, key).to_text());
  write_file(folder / "vkey", key.public_key().vkey() + "\n");
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    aftune::write(argv[1], std::atoi(argv[2]));
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "write_sealed_log: error: %s\n", e.what());
    return 2;
  }
  return 0;
}

// Logits of a model folder for one document, by the engine's own blocks: what
// tests/independent/export_loads.py compares with another program's.
//
// usage: write_logits FOLDER ID... > logits      [ids, vocab] little-endian f32
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/files.h"
#include "model/folder.h"
#include "train/engine.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 20;

data::Rows one_document(int count, char** ids) {
  data::Rows rows;
  for (int i = 0; i < count; ++i) {
    rows.tokens.push_back(std::atoi(ids[i]));
    rows.positions.push_back(i);
  }
  rows.labels.assign(rows.tokens.size(), data::kNoLabel);
  rows.doc_starts = rows.row_starts = {0, count};
  return rows;
}

void write_logits(const fs::path& folder, const data::Rows& rows) {
  ThreadPool pool(1);
  model::EngineOptions options;
  options.config = model::Config::parse(read_file(folder / "config.json", kMaxConfigBytes));
  options.grid = {.layers = options.config.layers, .tied = options.config.tied, .steps = 1};
  options.pool = &pool;
  train::Engine engine(options);
  const model::Checkpoint checkpoint = model::Checkpoint::open(folder, options.config);
  for (const auto& block : engine.blocks()) model::load_base(*block, checkpoint);

  Matrix x;
  for (int stage = 0; stage + 1 < options.grid.stages(); ++stage)
    x = engine.blocks()[static_cast<std::size_t>(options.grid.block_of_stage(stage))]
            ->forward(stage, rows, stage == 0 ? nullptr : &x, false)
            .out;
  const int last = options.grid.block_of_stage(options.grid.stages() - 1);
  const Matrix logits = engine.blocks()[static_cast<std::size_t>(last)]->logits(x);
  std::fwrite(logits.data(), 1, logits.bytes().size(), stdout);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  try {
    if (argc < 3) return 2;
    aftune::write_logits(argv[1], aftune::one_document(argc - 2, argv + 2));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "write_logits: error: %s\n", e.what());
    return 2;
  }
}

#include "generate/decoder.h"

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops.h"

namespace aftune::generate {
namespace {

// Of what a block holds, only the parameters are used.
model::EngineOptions without_moments(model::EngineOptions options) {
  options.recipe = {};
  options.recipe.optimizer = "sgd";
  return options;
}

}  // namespace

Decoder::Decoder(model::EngineOptions options) : options_(without_moments(std::move(options))) {
  for (int index = 0; index < options_.grid.blocks(); ++index)
    blocks_.push_back(model::make_block(options_, index));
}

void Decoder::load(const model::Checkpoint& checkpoint) {
  for (const auto& block : blocks_) model::load_base(*block, checkpoint);
}

std::int64_t Decoder::cache_bytes(std::int64_t positions) const {
  const model::Config& c = options_.config;
  return positions * c.layers * c.kv_heads * c.head_dim * 2 * static_cast<std::int64_t>(sizeof(float));
}

Sequence Decoder::begin(std::int64_t most) const {
  Sequence sequence;
  for (int stage = 1; stage + 1 < options_.grid.stages(); ++stage) {
    const record::UnitRange units = options_.grid.units_of_stage(stage);
    sequence.caches_.emplace_back(options_.config, units.last - units.first, most);
  }
  return sequence;
}

data::Rows Decoder::rows_of(std::span<const Feed> feeds) const {
  data::Rows rows;
  rows.doc_starts = {0};
  for (const Feed& feed : feeds) {
    AFTUNE_CHECK(!feed.tokens.empty());
    const std::int64_t first = feed.sequence->length_, count = std::ssize(feed.tokens);
    if (first + count > options_.config.max_position)
      fail(Fault::kUsage, "more than the model's ", options_.config.max_position, " positions");
    for (std::int64_t i = 0; i < count; ++i) rows.positions.push_back(static_cast<std::int32_t>(first + i));
    rows.tokens.insert(rows.tokens.end(), feed.tokens.begin(), feed.tokens.end());
    rows.doc_starts.push_back(rows.doc_starts.back() + count);
  }
  rows.row_starts = rows.doc_starts;
  return rows;
}

Matrix Decoder::run(std::span<const Feed> feeds, const Observer& observer) {
  const data::Rows rows = rows_of(feeds);
  const int last = options_.grid.stages() - 1;
  ThreadPool& pool = *options_.pool;
  QueuedCalls queued(pool);
  Matrix x;
  for (int stage = 0; stage < last; ++stage) {
    std::vector<model::KvCache*> caches;
    if (stage > 0)
      for (const Feed& feed : feeds)
        caches.push_back(&feed.sequence->caches_[static_cast<std::size_t>(stage - 1)]);
    x = block_of(stage).infer(stage, rows, stage == 0 ? nullptr : &x, caches);
    if (!observer) continue;
    pool.wait_for_accelerator();
    observer(stage, rows, x);
  }
  std::vector<std::int64_t> ends;
  for (std::size_t i = 0; i < feeds.size(); ++i) {
    feeds[i].sequence->length_ += std::ssize(feeds[i].tokens);
    if (feeds[i].wants_logits) ends.push_back(rows.doc_starts[i + 1] - 1);
  }
  Matrix logits;
  if (!ends.empty()) {
    Matrix wanted(std::ssize(ends), x.cols);
    kernels::gather_rows(pool, wanted.rows, wanted.cols, ends.data(), x.data(), wanted.data());
    logits = block_of(last).logits(wanted);
  }
  queued.finish();
  return logits;
}

}  // namespace aftune::generate

#include "audit/log_view.h"

#include <utility>

#include "audit/rejection.h"
#include "base/error.h"
#include "model/layer_block.h"

namespace aftune::audit {

LogView::LogView(std::vector<std::string> leaves) : size_(std::ssize(leaves)) {
  for (std::int64_t i = 0; i < size_; ++i)
    leaves_.emplace_hint(leaves_.end(), i, std::move(leaves[static_cast<std::size_t>(i)]));
}

LogView::LogView(std::map<std::int64_t, std::string> opened, std::int64_t size)
    : leaves_(std::move(opened)), size_(size) {}

std::string LogView::line(std::int64_t leaf) {
  return cat("log line ", leaf + 1);
}

const std::string& LogView::leaf(std::int64_t index) const {
  const auto found = leaves_.find(index);
  if (found == leaves_.end()) fail(Fault::kEvidence, line(index), ": is not there");
  return found->second;
}

std::vector<std::int64_t> LogView::steps() const {
  std::vector<std::int64_t> list;
  for (const auto& [index, text] : leaves_)
    if (const auto t = grid().step_of_leaf(index)) list.push_back(*t);
  return list;
}

std::vector<std::int64_t> LogView::states() const {
  std::vector<std::int64_t> list;
  for (const auto& [index, text] : leaves_)
    if (const auto s = grid().state_of_leaf(index)) list.push_back(*s);
  return list;
}

void LogView::parse_manifest() {
  manifest_ = record::parse_manifest(leaf(0));
}

void LogView::parse_config() {
  config_ = within("config", [&] { return model::Config::parse(manifest_.config); });
  base_tensors_ = model::all_tensors(config_);
  tensors_ = model::all_trained_tensors(config_, manifest_.recipe);
}

const record::Salts* LogView::salts() const {
  if (!manifest_.hiding()) return nullptr;
  if (salts_ == nullptr) throw Rejection(Code::kAbsent, "salts", "the digests of this run are salted");
  return salts_;
}

Digest LogView::published(const record::SaltName& name, const Digest& digest) const {
  return record::published(salts(), name, digest);
}

bool LogView::is_open(const record::SaltName& name) const {
  return !manifest_.hiding() || (salts_ != nullptr && salts_->has(name));
}

Digest LogView::published_block(std::int64_t s, int block, const record::BlockState& state) const {
  if (s == 0) return record::block_digest(state);
  return record::publish_block(state, salts(), grid().state_leaf(s), block).digest;
}

record::SaltName LogView::exported_salt(const record::Final& final, int block,
                                        const std::string& tensor) const {
  if (final.exported.dtype == DType::kF32)
    return {grid().state_leaf(grid().step_blocks()), record::Role::kParameter, block, tensor};
  return {grid().final_leaf(), record::Role::kExported, block, tensor};
}

record::Step LogView::step(std::int64_t t) const {
  return record::parse_step(leaf(grid().step_leaf(t)), grid());
}

record::State LogView::state(std::int64_t s) const {
  return record::parse_state(leaf(grid().state_leaf(s)), grid());
}

record::Final LogView::final() const {
  return record::parse_final(leaf(grid().final_leaf()), grid(), tensors_.size());
}

}  // namespace aftune::audit

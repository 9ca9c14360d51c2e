#include "audit/log_view.h"

#include "base/error.h"

namespace aftune::audit {

std::string LogView::line(std::int64_t leaf) {
  return cat("log line ", leaf + 1);
}

const std::string& LogView::leaf(std::int64_t index) const {
  if (index < 0 || index >= static_cast<std::int64_t>(leaves_.size()))
    fail(Fault::kEvidence, line(index), ": is not there");
  return leaves_[static_cast<std::size_t>(index)];
}

void LogView::parse_manifest() {
  manifest_ = record::parse_manifest(leaf(0));
}

void LogView::parse_config() {
  config_ = within("config", [&] { return model::Config::parse(manifest_.config); });
  tensors_ = model::all_tensors(config_);
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

#include "audit/serving_log.h"

#include "audit/log_view.h"
#include "audit/readable.h"
#include "base/error.h"
#include "hash/merkle.h"

namespace aftune::audit {
namespace {

void check_base(const ServingLog& log) {
  const record::TensorList& base = log.manifest().base;
  if (base.digests.size() != log.tensors().size())
    fail(Fault::kEvidence, "the model has ", log.tensors().size(), " tensors, \"base\" lists ",
         base.digests.size());
  for (const TensorSpec& spec : log.tensors()) element_count(spec.shape);  // throws on overflow
  if (record::tensor_root(log.tensors(), base.digests) != base.root)
    fail(Fault::kEvidence, "\"base\" has another root than its tensors");
}

bool check_final(const ServingLog& log, const record::ServingFinal& sums, Findings& findings) {
  const std::int64_t last = log.size() - 1;
  return readable(findings, last, [&] {
    const record::ServingFinal final = record::parse_serving_final(log.leaf(last));
    if (final.answers != log.grid().steps)
      fail(Fault::kEvidence, "\"answers\" is ", final.answers, ", the log has ", log.grid().steps);
    if (!log.whole()) return;
    if (final.prompt_tokens != sums.prompt_tokens || final.answer_tokens != sums.answer_tokens)
      fail(Fault::kEvidence, "the totals are not the sums over the answers");
  });
}

}  // namespace

ServingLog::ServingLog(std::map<std::int64_t, std::string> leaves, std::int64_t size)
    : leaves_(std::move(leaves)), size_(size) {
  AFTUNE_CHECK(has(0));
}

std::vector<std::int64_t> ServingLog::answers_at_hand() const {
  std::vector<std::int64_t> list;
  for (const auto& [leaf, text] : leaves_)
    if (leaf >= 1 && leaf <= grid_.steps) list.push_back(leaf);
  return list;
}

void ServingLog::parse_manifest() {
  manifest_ = record::parse_serving_manifest(leaf(0));
  manifest_hash_ = hash::leaf_hash(leaf(0));
  ended_ = size_ > 1 && has(size_ - 1) && record::kind_of_leaf(leaf(size_ - 1)) == "serving-final";
}

void ServingLog::parse_config() {
  config_ = model::Config::parse(manifest_.config);
  if (config_.images) fail(Fault::kEvidence, "a model of images is not served");
  tensors_ = model::all_tensors(config_);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].dtype = manifest_.base.dtype;
    places_[tensors_[i].name] = i;
  }
  grid_ = {.layers = config_.layers,
           .tied = config_.tied,
           .layers_per_block = static_cast<int>(manifest_.layers_per_block),
           .steps = size_ - (ended_ ? 2 : 1),
           .steps_per_block = 1};
}

const Digest& ServingLog::tensor_digest(const std::string& name) const {
  return manifest_.base.digests.at(places_.at(name));
}

record::RequestLeaf ServingLog::answer(std::int64_t leaf) const {
  return record::parse_request(this->leaf(leaf), static_cast<std::size_t>(grid_.boundaries()));
}

bool check_structure(ServingLog& log, Findings& findings) {
  const bool readable_manifest = readable(findings, 0, [&] {
    log.parse_manifest();
    log.parse_config();
    check_base(log);
  });
  if (!readable_manifest) return false;
  if (!log.has(log.size() - 1)) {
    findings.add(Code::kAbsent, LogView::line(log.size() - 1), "is not among the leaves that were opened");
    return false;
  }
  bool all = true;
  record::ServingFinal sums;
  for (const std::int64_t leaf : log.answers_at_hand())
    all &= readable(findings, leaf, [&] {
      const record::RequestLeaf answer = log.answer(leaf);
      const std::int64_t tokens = answer.prompt_tokens + answer.answer_tokens;
      if (tokens > log.config().max_position)
        fail(Fault::kEvidence, tokens, " tokens, the model has ", log.config().max_position, " positions");
      if (answer.answer_tokens > log.manifest().most_tokens)
        fail(Fault::kEvidence, answer.answer_tokens, " tokens in an answer, more than ",
             log.manifest().most_tokens);
      sums.prompt_tokens += answer.prompt_tokens;
      sums.answer_tokens += answer.answer_tokens;
    });
  if (log.ended()) all &= check_final(log, sums, findings);
  return all;
}

}  // namespace aftune::audit

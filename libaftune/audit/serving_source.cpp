#include "audit/serving_source.h"

#include "audit/evidence.h"
#include "audit/log_view.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "tokenizer/folder.h"

namespace aftune::audit {
namespace {

// Runs body, which reads what the provider wrote.
template <class Body>
auto reading(const std::string& where, const Body& body) {
  try {
    return body();
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    throw Rejection(Code::kFormat, where, e.what());
  }
}

}  // namespace

std::string answer_dataset(std::int64_t leaf) {
  return cat("/answers/", leaf, "/exchange");
}

std::string answer_boundary_dataset(std::int64_t leaf, int boundary) {
  return cat("/answers/", leaf, "/activations/", boundary);
}

std::string served_tensor_dataset(const std::string& name) {
  return "/tensors/" + name;
}

ServingTrace::ServingTrace(const trace::Layout& layout, const fs::path& model, const model::Config& config,
                           const record::Salts& salts, bool compared)
    : model_(model),
      journal_(layout),
      checkpoint_(model::Checkpoint::open(model, config)),
      salts_(salts),
      compared_(compared) {}

record::Exchange ServingTrace::exchange(std::int64_t leaf) {
  if (leaf > journal_.size())
    throw Rejection(Code::kAbsent, name_of(leaf, ""), "the journal has no line for it");
  return reading(name_of(leaf, ""), [&] { return journal_.read(leaf); });
}

void ServingTrace::read_boundary(std::int64_t leaf, int boundary, std::int64_t, std::int64_t, Matrix&) {
  throw Rejection(Code::kAbsent, name_of(leaf, cat("boundary ", boundary)), "not stored in a trace");
}

ByteView ServingTrace::read_tensor(const TensorSpec& spec, Bytes&) {
  const model::Checkpoint::Entry* found = checkpoint_.find(spec.name);
  if (found == nullptr || found->spec != spec)
    fail(Fault::kUsage, model_.native(), ": has no tensor ", describe(spec));
  return found->bytes;
}

std::string ServingTrace::read_tokenizer() {
  return tokenizer::read_tokenizer_of(model_);
}

std::string ServingTrace::name_of(std::int64_t leaf, const std::string& what) const {
  return cat("journal line ", leaf, what.empty() ? "" : " ", what);
}

record::Exchange ServingEvidence::exchange(std::int64_t leaf) {
  const std::string text = file_.read_text(answer_dataset(leaf), kMaxExchangeBytes);
  return reading(name_of(leaf, "exchange"), [&] {
    record::JournalLine line = record::parse_journal(text);
    if (line.leaf != leaf) fail(Fault::kEvidence, "is of leaf ", line.leaf);
    return std::move(line.exchange);
  });
}

void ServingEvidence::read_boundary(std::int64_t leaf, int boundary, std::int64_t tokens, std::int64_t first,
                                    Matrix& out) {
  file_.read_rows(answer_boundary_dataset(leaf, boundary), tokens, first, out);
}

ByteView ServingEvidence::read_tensor(const TensorSpec& spec, Bytes& space) {
  space.resize(byte_size(spec));
  file_.read_tensor(served_tensor_dataset(spec.name), spec, space);
  return space;
}

std::string ServingEvidence::name_of(std::int64_t leaf, const std::string& what) const {
  return EvidenceFile::name_of(cat("/answers/", leaf, what.empty() ? "" : "/", what));
}

}  // namespace aftune::audit

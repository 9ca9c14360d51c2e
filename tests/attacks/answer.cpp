#include "attacks/answer.h"

#include "base/error.h"
#include "hash/blake3.h"
#include "scratch.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "trace/segment.h"

namespace aftune::attacks {
namespace {

constexpr std::int64_t kMaxText = std::int64_t{1} << 28;

fs::path opened(audit::OpenOptions options) {
  options.out = new_path(".h5");
  options.quiet = true;
  audit::open(options);
  return options.out;
}

}  // namespace

audit::Challenge challenge_of(const RecordedRun& run, const audit::Plan& plan, int seed) {
  audit::Challenge challenge;
  challenge.note = read_file(trace::Layout{run.trace()}.checkpoint(), 1 << 16);
  challenge.seed[0] = static_cast<std::uint8_t>(seed);
  challenge.plan = plan;
  return challenge;
}

std::optional<fs::path> base_of(const RecordedRun& run) {
  const std::string first = trace::Log::read(trace::Layout{run.trace()}.log()).leaves.front();
  return record::parse_manifest(first).recipe.is_lora() ? std::optional(run.model()) : std::nullopt;
}

fs::path open_evidence(const RecordedRun& run, const audit::Challenge& challenge, bool signed_,
                       bool export_salts) {
  const seal::SecretKey key = provider_key();
  return opened({.trace = run.trace(),
                 .challenge = challenge,
                 .out = {},
                 .key = signed_ ? &key : nullptr,
                 .model = base_of(run),
                 .export_salts = export_salts});
}

fs::path open_with_final(const RecordedRun& run, const audit::Challenge& challenge) {
  const seal::SecretKey key = provider_key();
  return opened({.trace = run.trace(), .challenge = challenge, .out = {}, .key = &key, .final_params = true});
}

fs::path open_with_rows(const RecordedRun& run, const audit::Challenge& challenge) {
  const seal::SecretKey key = provider_key();
  return opened({.trace = run.trace(),
                 .challenge = challenge,
                 .out = {},
                 .key = &key,
                 .data = run.data(),
                 .model = run.model()});
}

audit::VerifyOptions options_for(const fs::path& evidence, const audit::Challenge& challenge) {
  audit::VerifyOptions options{.trace = {}, .key = provider_key().public_key()};
  options.evidence = evidence;
  options.challenge = challenge;
  options.quiet = true;
  return options;
}

ForgedAnswer::ForgedAnswer(const fs::path& evidence) {
  const trace::SegmentReader reader(evidence);
  index = audit::parse_evidence_index(reader.read_text(audit::kEvidenceIndex, kMaxText));
  for (const auto& entry : reader.entries())
    if (!entry.path.starts_with("/evidence/"))
      datasets[entry.path] = {entry.dtype, entry.shape, reader.read(entry.path, entry.dtype, entry.shape)};
  if (reader.has(audit::kEvidenceSignature))
    signature_ = reader.read_text(audit::kEvidenceSignature, kMaxText);
}

void ForgedAnswer::flip(const std::string& dataset, std::size_t bit) {
  Bytes& bytes = datasets.at(dataset).bytes;
  bytes[bit / 8 % bytes.size()] ^= static_cast<std::byte>(1u << bit % 8);
}

fs::path ForgedAnswer::write(By liar) const {
  const fs::path file = new_path(".h5");
  trace::SegmentWriter writer(file);
  audit::EvidenceIndex stated = index;
  if (liar == By::kProvider) stated.datasets.clear();
  for (const auto& [path, d] : datasets) {
    if (liar == By::kProvider) stated.datasets[path] = hash::blake3(d.bytes);
    writer.add(path, d.dtype, d.shape, d.bytes, trace::Packing::kRaw);
  }
  const auto add_text = [&](const char* path, const std::string& text) {
    writer.add(path, DType::kU8, {std::ssize(text)}, as_bytes(text), trace::Packing::kRaw);
  };
  const std::string text = to_text(stated);
  add_text(audit::kEvidenceIndex, text);
  const auto origin = seal::Checkpoint::parse(seal::Note::parse(index.note).text).origin;
  if (liar == By::kProvider)
    add_text(audit::kEvidenceSignature, audit::sign_evidence(text, origin, provider_key()));
  else if (!signature_.empty())
    add_text(audit::kEvidenceSignature, signature_);
  writer.commit();
  return file;
}

}  // namespace aftune::attacks

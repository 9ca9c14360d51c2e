#include "audit/evidence_file.h"

#include <algorithm>

#include "audit/evidence.h"
#include "base/error.h"
#include "seal/note.h"
#include "tokenizer/folder.h"
#include "trace/layout.h"

namespace aftune::audit {
namespace {

constexpr std::int64_t kMaxIndexBytes = std::int64_t{1} << 28;

trace::SegmentReader open_segment(const fs::path& path, trace::Origin origin) {
  if (!fs::is_regular_file(path)) fail(Fault::kUsage, path.native(), ": not a file");
  return trace::SegmentReader(path, origin);
}

bool starts_some(const std::vector<trace::SegmentReader::Entry>& entries, const std::string& prefix) {
  const auto at = std::lower_bound(entries.begin(), entries.end(), prefix,
                                   [](const auto& entry, const std::string& p) { return entry.path < p; });
  return at != entries.end() && at->path.starts_with(prefix);
}

std::string boundary_dataset(Side side, std::int64_t t, int boundary) {
  return side == Side::kActivation ? trace::activation_dataset(t, boundary)
                                   : trace::gradient_dataset(t, boundary);
}

}  // namespace

EvidenceFile::EvidenceFile(const fs::path& path, trace::Origin origin)
    : reader_(open_segment(path, origin)),
      index_text_(reader_.read_text(kEvidenceIndex, kMaxIndexBytes)),
      index_(within(cat(path.native(), ": ", kEvidenceIndex),
                    [&] { return parse_evidence_index(index_text_); })) {}

bool EvidenceFile::is_signed_by(const seal::PublicKey& key, const std::string& origin) const {
  if (!has_signature()) return false;
  try {
    if (!is_evidence_signature(reader_.read_text(kEvidenceSignature, seal::kMaxNoteBytes), index_text_,
                               origin, key))
      return false;
    return holds_what_it_names();
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    return false;
  }
}

// Names are compared first: nothing is hashed for a dataset that the provider did not sign.
bool EvidenceFile::holds_what_it_names() const {
  std::size_t named = 0;
  for (const auto& entry : reader_.entries())
    if (entry.path != kEvidenceIndex && entry.path != kEvidenceSignature) {
      if (index_.datasets.count(entry.path) == 0) return false;
      ++named;
    }
  if (named != index_.datasets.size()) return false;
  return std::all_of(index_.datasets.begin(), index_.datasets.end(),
                     [&](const auto& dataset) { return reader_.hash(dataset.first) == dataset.second; });
}

bool EvidenceFile::has_state(std::int64_t s) {
  return starts_some(reader_.entries(), evidence_state_dataset(s, ""));
}

// A cell's evidence always has boundaries; one that is missing is found absent when it is read.
bool EvidenceFile::has_boundaries(std::int64_t) {
  return true;
}

template <class Body>
auto EvidenceFile::reading(const std::string& dataset, const Body& body) const {
  if (!reader_.has(dataset)) throw Rejection(Code::kAbsent, name_of(dataset), "not in the evidence");
  try {
    return body();
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    throw Rejection(Code::kFormat, name_of(dataset), e.what());
  }
}

bool EvidenceFile::has_rows() const {
  return starts_some(reader_.entries(), kEvidenceRows);
}

std::set<std::int64_t> EvidenceFile::rows() const {
  std::set<std::int64_t> rows;
  for (const auto& entry : reader_.entries()) {
    if (!entry.path.starts_with(kEvidenceRows)) continue;
    const auto row = row_of_dataset(entry.path);
    if (!row) throw Rejection(Code::kFormat, name_of(entry.path), "no dataset that an answer has");
    rows.insert(*row);
  }
  return rows;
}

std::string EvidenceFile::read_row(std::int64_t row) const {
  const std::string path = evidence_row_dataset(row);
  return reading(path, [&] { return reader_.read_text(path, kMaxRowBytes); });
}

std::vector<Digest> EvidenceFile::read_row_proof(std::int64_t row) const {
  constexpr std::size_t kSize = sizeof(Digest::bytes);
  const std::string path = evidence_row_proof_dataset(row);
  if (!reader_.has(path)) return {};
  return reading(path, [&] {
    const std::string bytes = reader_.read_text(path, kMaxProof * kSize);
    if (bytes.size() % kSize != 0) fail(Fault::kEvidence, bytes.size(), " bytes are no list of hashes");
    std::vector<Digest> proof(bytes.size() / kSize);
    for (std::size_t i = 0; i < proof.size(); ++i)
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * kSize), kSize, proof[i].bytes.begin());
    return proof;
  });
}

std::string EvidenceFile::read_tokenizer() const {
  return read_text(kEvidenceTokenizer, tokenizer::kMaxTokenizerBytes);
}

std::string EvidenceFile::read_text(const std::string& dataset, std::int64_t max_bytes) const {
  return reading(dataset, [&] { return reader_.read_text(dataset, max_bytes); });
}

void EvidenceFile::read_tensor(const std::string& dataset, const TensorSpec& spec,
                               std::span<std::byte> out) const {
  reading(dataset, [&] { reader_.read(dataset, spec.dtype, spec.shape, out); });
}

void EvidenceFile::read_rows(const std::string& dataset, std::int64_t rows, std::int64_t first,
                             Matrix& out) const {
  reading(dataset, [&] {
    reader_.read_rows(dataset, DType::kF32, {rows, out.cols}, first, out.rows, out.values.mutable_bytes());
  });
}

bool EvidenceFile::has_final() const {
  return starts_some(reader_.entries(), kEvidenceFinal);
}

void EvidenceFile::read_final(const TensorSpec& spec, std::span<std::byte> out) const {
  read_tensor(evidence_final_dataset(spec.name), spec, out);
}

void EvidenceFile::read_state(std::int64_t s, const TensorSpec& spec, std::int64_t first,
                              std::span<std::byte> out) {
  const std::string dataset = evidence_state_dataset(s, spec.name);
  reading(dataset, [&] { reader_.read_part(dataset, spec.dtype, spec.shape, first, out); });
}

void EvidenceFile::read_boundary(Side side, std::int64_t t, int boundary, std::int64_t tokens,
                                 std::int64_t first, Matrix& out) {
  read_rows(boundary_dataset(side, t, boundary), tokens, first, out);
}

std::vector<std::int32_t> EvidenceFile::read_ints(std::int64_t t, const std::string& what,
                                                  std::int64_t max_count) {
  const std::string path = trace::step_dataset(t, what);
  return reading(path, [&] { return reader_.read_ints(path, max_count); });
}

void EvidenceFile::read_pixels(std::int64_t t, Matrix& out) {
  const std::string path = trace::step_dataset(t, "pixels");
  read_tensor(path, {path, DType::kF32, {out.rows, out.cols}}, out.values.mutable_bytes());
}

std::string EvidenceFile::state_name(std::int64_t s, const std::string& tensor) {
  return name_of(evidence_state_dataset(s, tensor));
}

std::string EvidenceFile::boundary_name(Side side, std::int64_t t, int boundary) {
  return name_of(boundary_dataset(side, t, boundary));
}

std::string EvidenceFile::ints_name(std::int64_t t, const std::string& what) {
  return name_of(trace::step_dataset(t, what));
}

}  // namespace aftune::audit

// Evidence: a whole file; or the evidence index, a NUL, the segment's index, a NUL and its data, around which
// a file is built whose digests and whose signature are right.
#include "audit/evidence.h"

#include <algorithm>

#include "audit/evidence_file.h"
#include "fuzz/json_input.h"
#include "fuzz/parts.h"
#include "fuzz/segment_bytes.h"
#include "hash/blake3.h"
#include "trace/layout.h"

namespace aftune {
namespace {

const std::string kOrigin = "audit.example/acme/00112233445566778899aabbccddeeff";

void add(Json& entries, std::string& data, const std::string& path, std::string_view text) {
  entries.push_back({{"chunk", Json::array()},
                     {"dtype", "U8"},
                     {"extents", {{trace::kUserBlock + data.size(), text.size()}}},
                     {"path", path},
                     {"shape", {text.size()}}});
  data += text;
}

std::string path_of(const Json& entry) {
  return entry.is_object() && entry.contains("path") && entry["path"].is_string() ? entry["path"] : "";
}

std::string file_of(std::string_view input) {
  if (input.starts_with(trace::kSegmentMagic)) return fuzz::with_right_digest(std::string(input));
  const std::string index = fuzz::canonical_or_same(next_part(input));
  Json entries = fuzz::json_of(next_part(input));
  if (!entries.is_array()) entries = Json::array();
  std::string data(input);
  add(entries, data, audit::kEvidenceIndex, index);
  add(entries, data, audit::kEvidenceSignature, audit::sign_evidence(index, kOrigin, provider_key()));
  std::sort(entries.begin(), entries.end(),
            [](const Json& a, const Json& b) { return path_of(a) < path_of(b); });
  return fuzz::segment_around(data, fuzz::canonical_or_same(json_text(entries)));
}

// Rejection is the answer of a source to what is not as it must be.
template <class Body>
void rejects_or(const Body& body) {
  try {
    fuzz::takes(body);
  } catch (const audit::Rejection&) {
  }
}

void read(audit::EvidenceFile& evidence) {
  for (const audit::OpenedLeaf& leaf : evidence.index().leaves) AFTUNE_CHECK(leaf.index >= 0);
  static_cast<void>(evidence.is_signed_by(provider_key().public_key(), kOrigin));
  evidence.has_state(0);
  for (const std::int64_t t : {0, 1}) {
    rejects_or([&] { evidence.read_ints(t, "tokens", 1000); });
    Bytes tensor(24);
    rejects_or([&] { evidence.read_state(t, {"w", DType::kF32, {2, 3}}, 0, tensor); });
    Matrix rows(1, 4);
    rejects_or([&] { evidence.read_boundary(audit::Side::kActivation, t, 0, 3, 2, rows); });
  }
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  std::string_view input = fuzz::text_of(data, size);
  const fs::path path = fuzz::file_with(file_of(input));
  fuzz::takes([&] {
    audit::EvidenceFile evidence(path, trace::Origin::kOwn);
    read(evidence);
  });
  const std::string index = fuzz::canonical_or_same(next_part(input));
  fuzz::takes([&] { AFTUNE_CHECK(audit::to_text(audit::parse_evidence_index(index)) == index); });
  return 0;
}

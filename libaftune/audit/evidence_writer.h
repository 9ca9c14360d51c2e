#pragma once

#include <string>

#include "audit/evidence.h"
#include "hash/blake3.h"
#include "seal/keys.h"
#include "trace/segment.h"

namespace aftune::audit {

/// The evidence under construction: every dataset is named in the index with its digest.
class EvidenceWriter {
 public:
  explicit EvidenceWriter(const fs::path& path) : segment_(path) {}

  void add(const std::string& path, DType dtype, const Shape& shape, ByteView bytes, trace::Packing packing) {
    index.datasets[path] = hash::blake3(bytes);
    segment_.add(path, dtype, shape, bytes, packing);
  }
  void commit(const std::string& origin, const seal::SecretKey* key) {
    const std::string text = to_text(index);
    add_text(kEvidenceIndex, text);
    if (key != nullptr) add_text(kEvidenceSignature, sign_evidence(text, origin, *key));
    segment_.commit();
  }

  EvidenceIndex index;

 private:
  void add_text(const char* path, const std::string& text) {
    segment_.add(path, DType::kU8, {std::ssize(text)}, as_bytes(text), trace::Packing::kRaw);
  }
  trace::SegmentWriter segment_;
};

}  // namespace aftune::audit

#pragma once

#include <set>
#include <string>
#include <vector>

#include "audit/evidence.h"
#include "audit/rejection.h"
#include "audit/source.h"
#include "seal/keys.h"
#include "trace/segment.h"

namespace aftune::audit {

/// The tensors of an evidence file. All of it is somebody's bytes until a digest says whose: the file's own
/// digest was right when it was opened, nothing more. May be used from several threads.
class EvidenceFile : public TensorSource {
 public:
  /// Throws Error{kEvidence} for a file that is not of the form, {kUsage} if it is absent.
  explicit EvidenceFile(const fs::path& path, trace::Origin origin = trace::Origin::kForeign);

  const EvidenceIndex& index() const { return index_; }
  const Digest& digest() const { return reader_.digest(); }
  bool has_signature() const { return reader_.has(kEvidenceSignature); }
  /// Whether the provider answers for these bytes: the index is signed, and every dataset is the one that it
  /// names. Reads the whole file.
  bool is_signed_by(const seal::PublicKey& key, const std::string& origin) const;

  /// Whether any row of the data set came with the cells.
  bool has_rows() const;
  /// The numbers of the rows that came. Throws Rejection `format` for a name that no row has.
  std::set<std::int64_t> rows() const;
  /// The bytes of a row, and the hashes of its inclusion proof; none if there is no such dataset, as in a
  /// data set of one row. Throws Rejection: `absent`, `format`.
  std::string read_row(std::int64_t row) const;
  std::vector<Digest> read_row_proof(std::int64_t row) const;
  /// tokenizer.json, as it came. Throws Rejection: `absent`, `format`.
  std::string read_tokenizer() const;

  /// Whether any parameter of the last state came.
  bool has_final() const;
  /// One of them. Throws Rejection: `absent`, `format`.
  void read_final(const TensorSpec& spec, std::span<std::byte> out) const;

  /// Whatever a dataset of a known form holds. Throw Rejection: `absent`, `format`.
  std::string read_text(const std::string& dataset, std::int64_t max_bytes) const;
  void read_tensor(const std::string& dataset, const TensorSpec& spec, std::span<std::byte> out) const;
  /// Rows [first, first + out.rows) of [rows, out.cols], f32.
  void read_rows(const std::string& dataset, std::int64_t rows, std::int64_t first, Matrix& out) const;

  bool holds_cells() const override { return true; }
  bool has_state(std::int64_t s) override;
  bool has_boundaries(std::int64_t s) override;
  void read_state(std::int64_t s, const TensorSpec& spec, std::int64_t first,
                  std::span<std::byte> out) override;
  void read_boundary(Side side, std::int64_t t, int boundary, std::int64_t tokens, std::int64_t first,
                     Matrix& out) override;
  std::vector<std::int32_t> read_ints(std::int64_t t, const std::string& what,
                                      std::int64_t max_count) override;
  void read_pixels(std::int64_t t, Matrix& out) override;
  std::string state_name(std::int64_t s, const std::string& tensor) override;
  std::string boundary_name(Side side, std::int64_t t, int boundary) override;
  std::string ints_name(std::int64_t t, const std::string& what) override;
  /// The file's path is the auditor's own; reasons name what is in it.
  static std::string name_of(const std::string& dataset) { return "evidence " + dataset; }

 private:
  bool holds_what_it_names() const;
  template <class Body>
  auto reading(const std::string& dataset, const Body& body) const;

  trace::SegmentReader reader_;
  std::string index_text_;
  EvidenceIndex index_;
};

}  // namespace aftune::audit

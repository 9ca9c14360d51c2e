#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "audit/evidence_file.h"
#include "audit/serving_log.h"
#include "model/folder.h"
#include "record/salts.h"
#include "trace/journal.h"

namespace aftune::audit {

/// Where what request leaves speak of comes from: a trace at hand with the model that is served, or an
/// evidence file. Nothing has compared it with a digest yet. Reading throws Rejection: `absent`, `format`.
class ServingSource {
 public:
  virtual ~ServingSource() = default;

  /// Whether each cell comes with the boundary that its block is given. Else the blocks before are run too.
  virtual bool holds_boundaries() const = 0;
  virtual record::Exchange exchange(std::int64_t leaf) = 0;
  /// [tokens, out.cols], rows [first, first + out.rows).
  virtual void read_boundary(std::int64_t leaf, int boundary, std::int64_t tokens, std::int64_t first,
                             Matrix& out) = 0;
  /// The bytes of a served tensor, as stored: in `space`, or where they lie already.
  virtual ByteView read_tensor(const TensorSpec& spec, Bytes& space) = 0;
  /// Whether all of them were compared with the manifest before.
  virtual bool tensors_compared() const { return false; }
  virtual std::string read_tokenizer() = 0;
  /// Of what the leaf says is salted. May throw.
  virtual const record::Salts& salts() const = 0;

  /// The name of what an exchange or boundary was read from, for reasons.
  virtual std::string name_of(std::int64_t leaf, const std::string& what) const = 0;
};

/// The provider's own, or an auditor's who was given the trace and holds the model.
class ServingTrace : public ServingSource {
 public:
  /// `salts` are kept by reference. `config` is the model's; `compared`: the folder's tensors are known to be
  /// the manifest's.
  ServingTrace(const trace::Layout& layout, const fs::path& model, const model::Config& config,
               const record::Salts& salts, bool compared = false);

  bool holds_boundaries() const override { return false; }
  record::Exchange exchange(std::int64_t leaf) override;
  void read_boundary(std::int64_t leaf, int boundary, std::int64_t tokens, std::int64_t first,
                     Matrix& out) override;
  ByteView read_tensor(const TensorSpec& spec, Bytes& space) override;
  bool tensors_compared() const override { return compared_; }
  std::string read_tokenizer() override;
  const record::Salts& salts() const override { return salts_; }
  std::string name_of(std::int64_t leaf, const std::string& what) const override;

 private:
  fs::path model_;
  trace::Journal journal_;
  model::Checkpoint checkpoint_;
  const record::Salts& salts_;
  bool compared_;
};

/// An answer to a challenge (docs/audit.answers.md, "Evidence").
class ServingEvidence : public ServingSource {
 public:
  ServingEvidence(const EvidenceFile& file, const record::Salts& salts) : file_(file), salts_(salts) {}

  bool holds_boundaries() const override { return true; }
  record::Exchange exchange(std::int64_t leaf) override;
  void read_boundary(std::int64_t leaf, int boundary, std::int64_t tokens, std::int64_t first,
                     Matrix& out) override;
  ByteView read_tensor(const TensorSpec& spec, Bytes& space) override;
  std::string read_tokenizer() override { return file_.read_tokenizer(); }
  const record::Salts& salts() const override { return salts_; }
  std::string name_of(std::int64_t leaf, const std::string& what) const override;

 private:
  const EvidenceFile& file_;
  const record::Salts& salts_;
};

/// Datasets of evidence: "/answers/<leaf>/exchange", "/answers/<leaf>/activations/<b>", "/tensors/<name>".
std::string answer_dataset(std::int64_t leaf);
std::string answer_boundary_dataset(std::int64_t leaf, int boundary);
std::string served_tensor_dataset(const std::string& name);
inline constexpr std::int64_t kMaxExchangeBytes = std::int64_t{64} << 20;

}  // namespace aftune::audit

#pragma once

// A real run, small enough to be made in a moment: a model of two layers on a data set of its own, trained by
// train::train, sealed with the provider's key. Tests copy it and cheat on the copy.

#include <string>

#include "audit/verify.h"
#include "base/files.h"
#include "seal/keys.h"
#include "train/trainer.h"

namespace aftune::attacks {

/// The provider's key: "audit.example/acme" from a fixed seed.
seal::SecretKey provider_key();

struct RunShape {
  std::string family = "llama";  ///< model_type, or "dinov2-swiglu"
  bool tied = true;
  bool store_boundaries = false;
  bool packing = false;
  bool init = true;             ///< else from base weights, which are the export of another run
  std::string base_dtype = "";  ///< with init false: F32 (default), F16 or BF16
  std::int64_t snapshot_interval = 1;
  std::int64_t steps = 6;
  std::int64_t steps_per_block = 2;
  int layers_per_block = 1;
  std::uint64_t seed = 7;
  std::int64_t data_rows = 7;
  bool evaluate = false;
  std::string nonce = "";
  std::string run_id = std::string(31, '0') + "1";
  double lr = 1e-2;
  std::string numerics = "i14";
  std::string secret = "";  ///< 64 hex digits: a run with hiding
  std::string lora = "";    ///< targets: a run with adapters, beside base weights
  double lora_dropout = 0;
  fs::path adapter = "";               ///< of which it goes on
  std::uint64_t base_seed = 99;        ///< of the run that made the base weights
  Accelerator* accelerator = nullptr;  ///< that trains
};

/// Whether a run of this shape is on images: then its data are a file that names them, in PNG beside it.
bool is_of_images(const RunShape& shape);

/// The folders of one run: model (the client's base), data.jsonl, out (the export), run.aft (the trace).
struct RecordedRun {
  fs::path root;
  fs::path model() const { return root / "model"; }
  fs::path data() const { return root / "data.jsonl"; }
  fs::path out() const { return root / "out"; }
  fs::path trace() const { return root / "run.aft"; }

  /// Every cell, with the client's data, base model and the shipped files.
  audit::VerifyOptions options() const;
};

/// A path, ending so, of nothing that exists, in a folder of this process that goes when it ends.
fs::path new_path(const std::string& end = "");
/// Trains and seals under `root`, which must not exist.
RecordedRun record_run(const fs::path& root, const RunShape& shape);
/// Such a run made once in this process and copied for the caller, who may change everything in it.
RecordedRun fresh_copy(const RunShape& shape);

/// Signs the log as it is in the trace, as that of run `run_id`.
void seal(const fs::path& trace, const std::string& run_id = RunShape{}.run_id);

}  // namespace aftune::attacks

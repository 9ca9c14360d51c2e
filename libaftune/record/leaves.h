#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "record/grid.h"
#include "record/normalisation.h"
#include "record/recipe.h"
#include "tensor/tensor.h"

namespace aftune::record {

/// A leaf is a line of log.jsonl without its newline; C2SP entry bundles allow less than 64 KiB.
inline constexpr std::size_t kMaxLeafBytes = 65535;

/// Digests of a list of tensors whose names and shapes follow from the model config, in unit order. The list
/// itself is not written: at 443 tensors (14 B parameters) names and shapes alone would fill a leaf. `root`
/// is the RFC 6962 root over the canonical ["name","dtype",[shape],"digest"] entries sorted by name, which
/// does not depend on sharding or on our order.
struct TensorList {
  DType dtype = DType::kF32;
  std::vector<Digest> digests;
  Digest root;
};
/// The canonical root of such a list. specs and digests correspond by position.
Digest tensor_root(const std::vector<TensorSpec>& specs, const std::vector<Digest>& digests);

/// Of profile native alone: whose products these are. Elsewhere they have other bits.
struct NativeMachine {
  std::string device;      ///< "NVIDIA H200"
  std::string capability;  ///< "9.0"
  std::string library;     ///< "cuBLAS 13.1.0"
  friend bool operator==(const NativeMachine&, const NativeMachine&) = default;
};
inline constexpr std::string_view kNativeProfile = "native";

struct Manifest {
  std::string run;           ///< 16 bytes as 32 hex digits
  std::int64_t created = 0;  ///< unix seconds
  std::string software;      ///< "aftune 0.1.0"
  std::string nonce;         ///< the client's, hex; empty if none
  std::string config;        ///< config.json verbatim
  TensorList base;           ///< base tensors as on disk; for --init the digests of state 0
  Digest tokenizer;          ///< BLAKE3 of tokenizer.json; of "" when rows are already tokens
  /// Of a run on images, in the place of the tokenizer.
  std::optional<Normalisation> images;
  std::string template_;  ///< the chat template verbatim, or ""
  Digest data_root;       ///< RFC 6962 root over the row bytes
  std::int64_t data_rows = 0;
  std::int64_t bos = -1;  ///< eos actually appended, -1 if none
  std::int64_t eos = -1;
  Recipe recipe;
  /// With adapters: those that the run went on from, as on disk; none if they were drawn from the seed.
  std::optional<TensorList> adapter;
  Grid grid;                     ///< layers and tied restate the config; parse checks nothing, audit does
  std::string profile = "f32";   ///< numerics profile
  std::vector<std::string> ops;  ///< names and versions of the ops in use, sorted
  std::optional<NativeMachine> native;  ///< with profile native, and only then
  std::optional<Digest> eval_root;
  std::int64_t eval_rows = 0;
  std::int64_t eval_every = 0;
  /// secret_check of the run secret in a run with hiding, whose published digests are salted (salts.h).
  std::optional<Digest> hiding_key;
  bool hiding() const { return hiding_key.has_value(); }

  /// Whether state 0 was drawn from the recipe's seed; else it is the exact widening of initial().
  bool drawn() const { return recipe.is_lora() ? !adapter : recipe.init; }
  /// The list whose tensors state 0 holds: of what is trained, so of adapters where there are some. Null if
  /// the manifest lists none.
  const TensorList* initial() const {
    if (!recipe.is_lora()) return &base;
    return adapter ? &*adapter : nullptr;
  }
};

struct Step {
  std::int64_t step = 0;
  std::int64_t epoch = 0;  ///< epoch of position `from`
  std::int64_t from =
      0;  ///< positions [from, to) of the endless order: position p is row perm_{p / rows}(p mod rows)
  std::int64_t to = 0;
  std::int64_t tokens = 0;     ///< positions in the batch
  std::int64_t predicted = 0;  ///< of which count in the loss
  Digest layout;               ///< of the i32 list: per packed row, its document count and their lengths
  Digest token_ids;
  Digest labels;
  std::vector<Digest> activations;  ///< one per boundary
  std::vector<Digest> gradients;    ///< one per boundary
  float loss = 0;
  double lr = 0;
  std::vector<double> sums;  ///< sum of squares of the gradient, per unit; a tied matrix counts in embed
  double norm = 0;
  float clip = 1;  ///< the factor every gradient is multiplied by
  std::optional<float> eval_loss;
};

/// Digest of one block's state: BLAKE3 of canonical {"moments": digest, "parameters": digest}, each the
/// BLAKE3 of the canonical list of ["name","F32",[shape],"digest"]. Two levels, so that `final` (parameters)
/// and a moments digest together show from the log alone that the export is the last state.
struct BlockState {
  std::vector<TensorSpec> parameter_specs;
  std::vector<Digest> parameters;
  std::vector<TensorSpec> moment_specs;
  std::vector<Digest> moments;
};
Digest list_digest(const std::vector<TensorSpec>& specs, const std::vector<Digest>& digests);
Digest block_digest(const Digest& parameters, const Digest& moments);
Digest block_digest(const BlockState& block);

struct State {
  std::int64_t state = 0;  ///< s: end of step block s - 1, start of s
  std::int64_t steps_done = 0;
  std::vector<Digest> blocks;  ///< one per block
};

struct Final {
  std::int64_t steps = 0;
  std::int64_t positions = 0;  ///< rows consumed: `to` of the last step
  std::int64_t tokens = 0;
  std::int64_t predicted = 0;
  TensorList exported;
  std::vector<Digest> moments;          ///< per block, see BlockState
  std::map<std::string, Digest> files;  ///< names in the export folder and their BLAKE3
};

/// Canonical JSON of a leaf. Throws Error{kUsage} if it would not fit kMaxLeafBytes.
std::string to_leaf(const Manifest& m);
std::string to_leaf(const Step& s);
std::string to_leaf(const State& s);
std::string to_leaf(const Final& f);

/// Strict inverses: exactly the canonical form, no unknown members, every list of the length that the grid
/// gives. Throw Error{kEvidence}.
Manifest parse_manifest(std::string_view leaf);
Step parse_step(std::string_view leaf, const Grid& grid);
State parse_state(std::string_view leaf, const Grid& grid);
Final parse_final(std::string_view leaf, const Grid& grid, std::size_t tensors);
/// Of a `final` leaf of a run whose grid is not at hand, only what it says was exported.
TensorList parse_exported(std::string_view leaf);

}  // namespace aftune::record

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/parallel.h"
#include "record/leaves.h"
#include "tensor/safetensors.h"
#include "tensor/tensor.h"

namespace aftune::model {

struct Config;

/// Of config.json and of the small JSON files beside it.
inline constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 20;

/// Tensors of a model folder: model.safetensors, or model.safetensors.index.json with its shards. Headers are
/// checked whole (tiling, sizes, names, dtypes) before any data is touched; files are mapped, not copied.
class Checkpoint {
 public:
  /// Throws Error{kUsage} if absent, Error{kEvidence} if malformed.
  static Checkpoint open(const fs::path& folder);
  /// The same, with the names that the config's model has where the files leave a prefix of them out.
  static Checkpoint open(const fs::path& folder, const Config& config);
  /// One file.
  static Checkpoint open_file(const fs::path& safetensors);

  using Entry = SafetensorsEntry;
  /// nullptr if absent.
  const Entry* find(const std::string& name) const;
  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  void add_prefix(const std::string& prefix);
  void add_file(const fs::path& path, const std::set<std::string>* expected);
  std::vector<MappedFile> files_;
  std::map<std::string, Entry> entries_;
};

/// The named tensor as f32 (exact widening). Error{kEvidence} if it is not there, of another shape or no
/// float.
Buffer read_parameter(const Checkpoint& checkpoint, const TensorSpec& spec);

/// The same as it is on disk, if that is in 16 bits; else it is empty.
Narrow read_narrow(const Checkpoint& checkpoint, const TensorSpec& spec);

/// Streams a safetensors file in the official writer's order (dtype alignment, then name), metadata
/// format=pt. `bytes_of` is asked for each tensor once, in file order. Returns BLAKE3 of the file. Written
/// aside and renamed.
Digest write_safetensors(const fs::path& path, std::vector<TensorSpec> specs,
                         const std::function<ByteView(const TensorSpec&)>& bytes_of);

/// The named tensors as they are on disk. Error{kEvidence} if one is absent, Error{kUsage} if types are
/// mixed.
record::TensorList base_list(const Checkpoint& base, std::vector<TensorSpec> specs, ThreadPool& pool);

/// The model folder's chat template, "" if it has none. Error{kUsage} if it has several.
std::string read_chat_template(const fs::path& model);

}  // namespace aftune::model

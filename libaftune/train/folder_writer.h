#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "tensor/tensor.h"

namespace aftune::train {

/// "out" of "out/".
fs::path without_slash(const fs::path& path);

/// The files of a folder that is being written, and their BLAKE3.
class FolderWriter {
 public:
  explicit FolderWriter(fs::path folder) : folder_(std::move(folder)) {}

  void put(const std::string& name, const std::string& text);
  /// As model::write_safetensors.
  void put_weights(const std::string& name, std::vector<TensorSpec> specs,
                   const std::function<ByteView(const TensorSpec&)>& bytes_of);
  const std::map<std::string, Digest>& files() const { return files_; }

 private:
  fs::path folder_;
  std::map<std::string, Digest> files_;
};

/// Writes a folder that appears whole or not at all; one that is there already and not empty must hold the
/// same files, else Error{kUsage}. Returns the BLAKE3 of each.
std::map<std::string, Digest> write_folder(const fs::path& out,
                                           const std::function<void(FolderWriter&)>& write);

/// What goes with a model's weights: config.json, its dtype set to float32, and the tokenizer's files as they
/// are.
void put_model_files(FolderWriter& folder, const fs::path& model, const std::string& config_text);

}  // namespace aftune::train

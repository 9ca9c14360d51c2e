#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "hash/merkle.h"
#include "record/leaves.h"
#include "seal/keys.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::testing_support {

/// A trace folder whose log has a real manifest and then lines that say nothing: all that sealing looks at.
class SealableLog {
 public:
  explicit SealableLog(const fs::path& root) : layout_{root} {
    fs::create_directories(root);
    append({record::to_leaf(manifest())});
  }

  static seal::SecretKey key() { return seal::SecretKey::from_seed("audit.example/acme", {1}); }
  static std::string origin() { return key().public_key().name() + "/" + manifest().run; }
  const trace::Layout& layout() const { return layout_; }
  std::uint64_t size() const { return lines_.size(); }

  /// Lines of different lengths.
  void grow(std::uint64_t lines) {
    std::vector<std::string> more;
    for (std::uint64_t i = 0; i < lines; ++i)
      more.push_back(cat("{\"line\":", size() + i, ",\"x\":\"", std::string((size() + i) % 97, 'x'), "\"}"));
    append(more);
  }
  /// As one who writes to the file behind the tools' back.
  void rewrite(std::size_t index, const std::string& line) {
    lines_[index] = line;
    std::string text;
    for (const std::string& l : lines_) text += l + '\n';
    write_file(layout_.log(), text);
  }
  const std::string& line(std::size_t index) const { return lines_[index]; }
  hash::MerkleTree tree() const {
    hash::MerkleTree out;
    for (const std::string& l : lines_) out.append(hash::leaf_hash(l));
    return out;
  }

 private:
  static record::Manifest manifest() {
    record::Manifest m;
    m.run = "000102030405060708090a0b0c0d0e0f";
    m.software = "aftune";
    m.config = "{}";
    m.data_rows = 1;
    m.recipe.steps = 5;
    m.recipe.seq_len = 64;
    m.recipe.lr = 1e-4;
    m.ops = {"add/1"};
    m.grid = {.layers = 3, .tied = true, .layers_per_block = 2, .steps = 5, .steps_per_block = 2};
    return m;
  }
  void append(const std::vector<std::string>& lines) {
    trace::LogWriter(layout_.log()).append(lines);
    lines_.insert(lines_.end(), lines.begin(), lines.end());
  }

  trace::Layout layout_;
  std::vector<std::string> lines_;
};

}  // namespace aftune::testing_support

#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "attacks/recorded_run.h"
#include "audit/log_view.h"

namespace aftune::attacks {

/// What a lying provider does to its own trace before it signs: every edit leaves files and leaves well
/// formed; seal() writes and signs the log.
class Forgery {
 public:
  explicit Forgery(RecordedRun run);

  const RecordedRun& run() const { return run_; }
  const record::Grid& grid() const { return log_.grid(); }
  const audit::LogView& log() const { return log_; }  ///< as it was
  std::vector<std::string>& leaves() { return leaves_; }

  void edit_manifest(const std::function<void(record::Manifest&)>& edit);
  void edit_step(std::int64_t t, const std::function<void(record::Step&)>& edit);
  void edit_state(std::int64_t s, const std::function<void(record::State&)>& edit);
  void edit_final(const std::function<void(record::Final&)>& edit);

  /// Rewrites one dataset of a segment; the segment's own digest is right again.
  void edit_floats(std::int64_t segment, const std::string& dataset,
                   const std::function<void(std::span<float>)>& edit);
  void edit_ints(std::int64_t segment, const std::string& dataset,
                 const std::function<void(std::vector<std::int32_t>&)>& edit);
  void drop_datasets(std::int64_t segment, const std::string& prefix);
  void add_dataset(std::int64_t segment, const std::string& dataset);

  /// Makes the leaf of state s say what the snapshot now is.
  void rehash_state(std::int64_t s);
  /// Makes `final` say that the last state, as its snapshot is now, was exported, and rewrites the export.
  void rehash_final();

  /// Writes the log and signs it.
  RecordedRun& seal();

 private:
  struct Dataset {
    std::string path;
    DType dtype;
    Shape shape;
    Bytes bytes;
  };
  std::vector<Dataset> read_segment(std::int64_t segment) const;
  void write_segment(std::int64_t segment, const std::vector<Dataset>& datasets) const;
  record::BlockState block_state(std::int64_t s, int block) const;

  RecordedRun run_;
  std::vector<std::string> leaves_;
  audit::LogView log_;  // as it was
};

/// Flips one bit of a file.
void flip_bit(const fs::path& file, std::uint64_t bit);

}  // namespace aftune::attacks
